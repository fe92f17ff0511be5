package import MartletWire

/// A context on the other side of one of our links.
package enum Neighbour: Hashable, Sendable {
    case parent
    case child(UInt32)
}

/// Where a frame goes next, and whether its claimed source can be true.
///
/// Both answers follow from the addresses alone: nothing is announced, so nothing can be announced falsely.
package struct Router: Sendable {
    package enum Route: Equatable, Sendable {
        case here
        case neighbour(Neighbour)
        /// No link leads there.
        case none
    }

    package private(set) var address: ContextAddress
    package private(set) var hasParent: Bool
    package private(set) var children: Set<UInt32> = []
    private var lastChild: UInt32 = 0

    /// A router at `address`; a controller stands at the root and has no parent.
    package init(address: ContextAddress, hasParent: Bool) {
        self.address = address
        self.hasParent = hasParent
    }

    /// Takes the next number for a child. Numbers are never used again.
    ///
    /// - Returns: `nil` if the tree is too deep or the numbers are used up.
    package mutating func addChild() -> (number: UInt32, address: ContextAddress)? {
        guard lastChild < .max, let address = address.child(lastChild + 1) else { return nil }
        lastChild += 1
        children.insert(lastChild)
        return (lastChild, address)
    }

    package mutating func remove(_ neighbour: Neighbour) {
        switch neighbour {
        case .parent: hasParent = false
        case .child(let number): children.remove(number)
        }
    }

    package func route(to destination: ContextAddress) -> Route {
        if destination == address { return .here }
        guard let child = address.childNumber(towards: destination) else {
            return hasParent ? .neighbour(.parent) : .none
        }
        return children.contains(child) ? .neighbour(.child(child)) : .none
    }

    /// Whether a frame that `neighbour` sent may come from `source`: a child speaks only for its own subtree, the
    /// parent only for what lies outside ours, and nobody speaks whose link is gone.
    package func admits(source: ContextAddress, from neighbour: Neighbour) -> Bool {
        switch neighbour {
        case .parent: hasParent && !address.contains(source)
        case .child(let number): children.contains(number) && address.childNumber(towards: source) == number
        }
    }
}
