/// The way to a context, as a person reads it: `controller → ssh:web1 → sudo:root`.
public struct Route: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The labels of the connectors on the way, the first nearest to the controller.
    public var steps: [String]

    /// A route by its steps.
    public init(steps: [String] = []) {
        self.steps = steps
    }

    /// The steps, with arrows between them.
    public var description: String { (["controller"] + steps).joined(separator: " → ") }

    func appending(_ step: String) -> Route { Route(steps: steps + [step]) }
}
