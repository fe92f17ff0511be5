import MartletLink
import MartletTestKit
import MartletWire

/// A tree of ``LinkNode``s in which a frame arrives as soon as it is sent: for what does not depend on time.
///
/// Owners are even for the opener's end of a stream and odd for the acceptor's.
struct InstantNetwork {
    private(set) var nodes: [LinkNode] = []
    private(set) var parents: [Int?] = []
    private(set) var keys: [StreamKey] = []
    private var indexes: [ContextAddress: Int] = [:]

    init(count: Int, random: inout SeededGenerator, limits: StreamLimits = .init()) {
        add(LinkNode(address: .root, hasParent: false, limits: limits), parent: nil)
        while nodes.count < count {
            let parent = Int.random(in: 0..<nodes.count, using: &random)
            guard let child = nodes[parent].addChild() else { continue }
            add(LinkNode(address: child.address, hasParent: true, limits: limits), parent: parent)
        }
    }

    private mutating func add(_ node: LinkNode, parent: Int?) {
        indexes[node.address] = nodes.count
        nodes.append(node)
        parents.append(parent)
    }

    func address(_ index: Int) -> ContextAddress { nodes[index].address }
    func index(_ address: ContextAddress) -> Int? { indexes[address] }

    /// Streams and relay entries in all contexts.
    var held: Int { nodes.reduce(0) { $0 + $1.streams.count + $1.relayedStreams } }

    /// The context on the other side of a link of `index`, and what that one calls this one.
    private func step(from index: Int, _ neighbour: Neighbour) -> (next: Int, from: Neighbour) {
        switch neighbour {
        case .parent:
            let parent = parents[index]!
            return (parent, .child(address(parent).childNumber(towards: address(index))!))
        case .child(let number):
            return (indexes[address(index).child(number)!]!, .parent)
        }
    }

    /// Sends a frame over a link of `context`, true or forged, and follows it to its verdict.
    mutating func send(
        _ header: FrameHeader,
        kind: StreamKind? = nil,
        credit: Int = 0,
        by context: Int,
        over neighbour: Neighbour
    ) -> (verdict: LinkNode.Verdict, at: Int, hops: Int) {
        var (here, from) = step(from: context, neighbour)
        var hops = 1
        while true {
            let verdict = nodes[here].receive(header, from: from, kind: kind, credit: credit)
            guard case .forward(let next) = verdict else { return (verdict, here, hops) }
            (here, from) = step(from: here, next)
            hops += 1
        }
    }

    /// Opens a stream from one context to another and accepts it.
    mutating func open(_ kind: StreamKind, from: Int, to: Int) -> Bool {
        guard let neighbour = nodes[from].route(to: address(to)) else { return false }
        let key = nodes[from].streams.open(to: address(to), owner: Tag(2 * keys.count), ended: false)
        let header = FrameHeader(.open, flags: .fromOpener, stream: key.number, to: key.acceptor, from: key.opener)
        guard case .opened(key, kind) = send(header, kind: kind, by: from, over: neighbour).verdict else {
            return false
        }
        nodes[to].streams.accept(key, owner: Tag(2 * keys.count + 1), ended: false)
        keys.append(key)
        return true
    }

    mutating func accept(_ key: StreamKey, at index: Int) {
        nodes[index].streams.accept(key, owner: Tag(0), ended: false)
    }
}
