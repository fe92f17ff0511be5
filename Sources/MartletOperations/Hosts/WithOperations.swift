public import Martlet

/// Runs `body` with operations: hosts are connected when they are first used, contexts are shared by all operations in it, and
/// closed at its end.
///
///     try await withOperations(.host("web1")) {
///         try await cd("/srv") { try await remote("git pull") }
///         try await remoteSudo("systemctl reload nginx")
///     }
///
/// - Parameters:
///   - settings: hold in `body`.
///   - options: what the scope of contexts is like, such as who answers when ssh or sudo ask. Default: as `withMartlet`'s.
/// - Throws: what `body` throws.
@discardableResult
public func withOperations<R: Sendable>(
    _ settings: Setting...,
    options: MartletOptions = .init(),
    _ body: @Sendable @concurrent () async throws -> R
) async throws -> R {
    try await withMartlet(options) { try await withOperations(on: $0, settings, body) }
}

/// Runs `body` with operations, whose connections are made by a controller that is there already. See
/// ``withOperations(_:options:_:)``.
///
/// - Throws: what `body` throws.
@discardableResult
public func withOperations<R>(
    on controller: Controller,
    _ settings: Setting...,
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async throws -> R {
    try await withOperations(on: controller, settings, isolation: isolation, body)
}

/// Runs `body` with operations and settings that are in an array. See ``withOperations(_:options:_:)``.
///
/// - Throws: what `body` throws.
@discardableResult
public func withOperations<R>(
    on controller: Controller,
    _ settings: [Setting],
    isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> R
) async throws -> R {
    let connections = Connections(controller)
    do {
        let result = try await withSettings(
            [.set(ConnectionsKey.self, to: connections)] + settings, isolation: isolation, body)
        await connections.close()
        return result
    } catch {
        await connections.close()
        throw error
    }
}

enum ConnectionsKey: SettingKey { typealias Value = Connections }

/// The context that operations use here: of the host that is set, as the user that is set. It is connected if it is not yet;
/// the scope closes it.
///
/// - Throws: ``OperationError`` `noHost`; `MartletError` if it cannot be connected.
public func hostContext(_ settings: Setting...) async throws -> Context {
    let settings = Settings.local.applying(settings)
    return try await settings.operation(on: settings[HostKey.self]?.name) {
        switch try await OperationTarget(settings) {
        case .context(let connection, _): return connection.context
        case .mock(let mock): throw OperationError(.misuse, "a MockHost has no context", host: mock.name)
        }
    }
}
