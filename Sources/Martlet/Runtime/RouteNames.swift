import DequeModule
import MartletWire

/// How the contexts below are called, for people; also those that have gone a while ago.
///
/// What a context's end costs depends on how many are below it, not on how many there are or were.
struct RouteNames: Sendable {
    private var names: [ContextAddress: Route] = [:]
    /// The contexts that are there, by their parents, from the root on: also those in between that have no name here.
    private var below: [ContextAddress: Set<ContextAddress>] = [:]
    /// Those that are gone. Lines that they printed may still wait for the program's handlers.
    private var goneNames: [ContextAddress: Route] = [:]
    /// The oldest first.
    private var gone: Deque<ContextAddress> = []
    /// How many that are gone keep their names.
    let limit: Int

    init(limit: Int) { self.limit = limit }

    /// How many contexts have a name.
    var count: Int { names.count + goneNames.count }

    /// Whether no context is there. For tests.
    var isEmptyBelow: Bool { below.isEmpty && names.isEmpty }

    subscript(_ address: ContextAddress) -> Route? { names[address] ?? goneNames[address] }

    /// Gives a context its name. What is gone stays so: an address is never used again.
    mutating func note(_ route: Route, of address: ContextAddress) {
        guard goneNames[address] == nil, names.updateValue(route, forKey: address) == nil else { return }
        var child = address
        while let parent = child.parent, below[parent, default: []].insert(child).inserted { child = parent }
    }

    /// A context and all below it are gone, so their names are kept no longer than others come to go.
    mutating func retire(below address: ContextAddress) {
        unlink(address)
        var open = [address]
        while let next = open.popLast() {
            open += below.removeValue(forKey: next) ?? []
            guard let name = names.removeValue(forKey: next) else { continue }
            goneNames[next] = name
            gone.append(next)
        }
        while gone.count > limit, let oldest = gone.popFirst() { goneNames[oldest] = nil }
    }

    /// Takes a context from its parent, and that from its own if it was there for this one's sake alone.
    private mutating func unlink(_ address: ContextAddress) {
        var child = address
        while let parent = child.parent, below[parent]?.remove(child) != nil, below[parent]?.isEmpty == true {
            below[parent] = nil
            guard names[parent] == nil else { return }
            child = parent
        }
    }
}
