package import Martlet
package import Testing

/// Runs `body` with a context in a process of its own on this machine.
///
/// - Parameter options: Default: what contexts print is thrown away.
package func withLocalContext(
    _ options: MartletOptions = OutputLog().options,
    _ body: @Sendable (Controller, Context) async throws -> Void
) async throws {
    try await withMartlet(options) { martlet in
        try await body(martlet, try await martlet.connect(.local))
    }
}

/// The error of Martlet's that `body` must throw, with this code.
@discardableResult
package func expectError<R>(
    _ code: MartletError.Code,
    sourceLocation: SourceLocation = #_sourceLocation,
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async throws -> MartletError {
    let error = try await #require(throws: MartletError.self, sourceLocation: sourceLocation) { _ = try await body() }
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    return error
}

extension Duration {
    /// How long `body` takes.
    package static func of(
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Void
    ) async rethrows -> Duration {
        let start = ContinuousClock.now
        try await body()
        return ContinuousClock.now - start
    }
}
