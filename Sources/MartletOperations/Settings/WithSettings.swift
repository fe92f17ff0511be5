/// Runs `body` with settings on top of those that hold. When it ends, however it ends, what held before holds again; other
/// tasks never see them, tasks that `body` starts do.
///
/// - Throws: what `body` throws.
@discardableResult
public func withSettings<R>(
    _ settings: Setting...,
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings(settings, isolation: isolation, body)
}

/// Runs `body` with settings that are in an array. See ``withSettings(_:isolation:_:)``.
///
/// - Throws: what `body` throws.
@discardableResult
public func withSettings<R>(
    _ settings: [Setting],
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async rethrows -> R {
    let cleanups = Cleanups()
    var local = Settings.local.applying(settings)
    local[CleanupKey.self] = cleanups
    return try await Settings.$local.withValue(local) {
        do {
            let result = try await body()
            await cleanups.run()
            return result
        } catch {
            await cleanups.run()
            throw error
        }
    }
}
