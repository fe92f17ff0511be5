/// What a scope closes at its end.
package protocol ScopeBound {
    func close(within limit: Duration) async
}

extension ScopeBound {
    /// Runs `body` with it, and closes it, however that ends.
    package func closing<R>(_ body: (Self) async throws -> R) async throws -> R {
        do {
            let result = try await body(self)
            await close(within: .seconds(5))
            return result
        } catch {
            await close(within: .seconds(5))
            throw error
        }
    }
}

extension Context: ScopeBound {}
