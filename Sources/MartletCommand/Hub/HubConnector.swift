import Martlet

/// The way to a host by the context that the hub has of it, or connects for it.
struct HubConnector: LentConnector {
    var target: HubTarget

    var label: String { target.label }

    func lender(_ provided: (any Sendable)?) async throws -> Lender {
        guard let pool = provided as? HubPool else { throw MartletError(.misuse, "this is no hub") }
        return try await pool.lend(target)
    }
}
