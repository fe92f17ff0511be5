package import Martlet

/// The ways over which what holds for streams must hold alike.
package enum Way: String, CaseIterable, Sendable {
    case local
    case ssh
    /// Through a context in between.
    case relay

    package static var available: [Way] { hasSSHServer ? allCases : [.local, .relay] }
}

/// Runs `body` with a context that is reached that way.
package func withContext(
    _ way: Way,
    _ options: MartletOptions = OutputLog().options,
    _ body: @Sendable (Context) async throws -> Void
) async throws {
    switch way {
    case .local: try await withLocalContext(options) { _, context in try await body(context) }
    case .ssh: try await withSSHContext(options, body)
    case .relay:
        try await withLocalContext(options) { _, between in try await body(try await between.connect(.local)) }
    }
}
