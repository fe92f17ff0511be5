import MartletLink
import MartletTestKit
import MartletWire
import Testing

@Suite struct RouterTests {
    /// Where a frame goes, by lists of numbers.
    static func naiveRoute(from here: [UInt32], to there: [UInt32], children: Set<UInt32>, parent: Bool) -> Router.Route
    {
        if here == there { return .here }
        guard there.starts(with: here) else { return parent ? .neighbour(.parent) : .none }
        return children.contains(there[here.count]) ? .neighbour(.child(there[here.count])) : .none
    }

    @Test func `Routes and sources are what the tree says`() throws {
        var random = SeededGenerator(seed: 10)
        let tree = RandomTree(count: 200, random: &random)
        for here in tree.nodes {
            var router = Router(address: RandomTree.address(here), hasParent: !here.isEmpty)
            for _ in 0..<Int.random(in: 0...6, using: &random) { _ = router.addChild() }
            for number in 1...6 as ClosedRange<UInt32> where Bool.random(using: &random) {
                router.remove(.child(number))
            }
            if Int.random(in: 0..<10, using: &random) == 0 { router.remove(.parent) }
            for _ in 0..<60 {
                let there = tree.nodes.randomElement(using: &random)!
                let address = RandomTree.address(there)
                let expected = Self.naiveRoute(
                    from: here,
                    to: there,
                    children: router.children,
                    parent: router.hasParent
                )
                #expect(router.route(to: address) == expected)
                #expect(
                    router.admits(source: address, from: .parent) == (router.hasParent && !there.starts(with: here))
                )
                let child = UInt32.random(in: 1...6, using: &random)
                #expect(
                    router.admits(source: address, from: .child(child))
                        == (router.children.contains(child) && there.starts(with: here + [child]))
                )
            }
        }
    }

    @Test func `Exactly one neighbour may speak for a context`() {
        var random = SeededGenerator(seed: 11)
        let tree = RandomTree(count: 60, random: &random)
        for here in tree.nodes {
            var router = Router(address: RandomTree.address(here), hasParent: !here.isEmpty)
            for _ in 0..<130 { _ = router.addChild() }
            let neighbours = router.children.map { Neighbour.child($0) } + [.parent]
            for there in tree.nodes {
                let speakers = neighbours.filter { router.admits(source: RandomTree.address(there), from: $0) }
                #expect(speakers.count == (there == here ? 0 : 1))
            }
        }
    }

    @Test func `A child's number is never used again`() throws {
        var router = Router(address: .root, hasParent: false)
        var seen: Set<UInt32> = []
        for step in 0..<500 {
            let added = router.addChild()
            let child = try #require(added)
            #expect(seen.insert(child.number).inserted)
            #expect(child.address == ContextAddress.root.child(child.number))
            if step % 3 != 0 { router.remove(.child(child.number)) }
        }
        for number in router.children { router.remove(.child(number)) }
        let next = router.addChild()
        #expect(next?.number == 501)
    }

    @Test func `A full address has no children`() throws {
        let deepest = try #require(ContextAddress([UInt32](repeating: 1, count: 31)))
        var router = Router(address: deepest, hasParent: true)
        let child = router.addChild()
        #expect(child == nil)
        #expect(router.children.isEmpty)
    }

    @Test func `What arrives from a link that is gone is not admitted`() throws {
        var router = Router(address: try #require(ContextAddress([4])), hasParent: true)
        let added = router.addChild()
        let child = try #require(added)
        #expect(router.admits(source: child.address, from: .child(child.number)))
        router.remove(.child(child.number))
        router.remove(.parent)
        #expect(!router.admits(source: child.address, from: .child(child.number)))
        #expect(!router.admits(source: .root, from: .parent))
        #expect(router.route(to: .root) == .none)
    }
}
