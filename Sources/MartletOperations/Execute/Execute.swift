/// Runs `body` for each parameter.
///
///     let sizes = try await execute(.parallel, over: paths) { path in try await remote("du -s \(shellQuoted(path))").output }
///
/// Settings that `body` sets stay its own.
///
/// - Parameters:
///   - mode: default: one after the other.
/// - Returns: what each came to, in the order of the parameters.
/// - Throws: one after the other: what the first that fails throws, as it is. At once: ``ExecutionError``, when all have ended.
///   `CancellationError`.
@discardableResult
public func execute<Parameter: Sendable, R: Sendable>(
    _ mode: ExecutionMode = .serial,
    over parameters: [Parameter],
    _ body: @Sendable (Parameter) async throws -> R
) async throws -> [R] {
    let results = await Outcomes.of(parameters, mode, stopsAtFailure: true, settings: { _ in [] }, body)
    return try raise(results, mode) { "\($0 + 1)" }
}

/// Runs `body` so many times.
///
/// - Returns: what each came to, in their order.
/// - Throws: as ``execute(_:over:_:)``.
@discardableResult
public func execute<R: Sendable>(
    _ mode: ExecutionMode = .serial,
    times: Int,
    _ body: @Sendable () async throws -> R
) async throws -> [R] {
    try await execute(mode, over: Array(0..<max(0, times))) { _ in try await body() }
}

/// Runs `body` for each host, which is set in it.
///
///     let uptimes = try await execute(.parallel, on: ["web1", "web2"]) { try await remote("uptime").output }
///     for (host, uptime) in uptimes { print(host, uptime) }
///
/// - Parameter hosts: default: those of ``Setting/hosts(_:)``.
/// - Returns: what each came to, with its host, in their order.
/// - Throws: as ``execute(_:over:_:)``; ``OperationError`` `noHost` if there is none.
@discardableResult
public func execute<R: Sendable>(
    _ mode: ExecutionMode = .serial,
    on hosts: [OperationHost]? = nil,
    _ body: @Sendable () async throws -> R
) async throws -> HostResults<R> {
    let hosts = try Settings.current.hosts(hosts)
    let results = await Outcomes.of(hosts, mode, stopsAtFailure: true, settings: { [.host($0)] }) { _ in
        try await body()
    }
    return HostResults(hosts, try raise(results, mode) { hosts[$0].name })
}

/// Runs `body` for each parameter, to the last: errors are values.
///
/// - Returns: what each came to, in the order of the parameters.
/// - Throws: `CancellationError`, when all have ended.
public func collect<Parameter: Sendable, R: Sendable>(
    _ mode: ExecutionMode = .serial,
    over parameters: [Parameter],
    _ body: @Sendable (Parameter) async throws -> R
) async throws -> [Result<R, any Error>] {
    let results = await Outcomes.of(parameters, mode, stopsAtFailure: false, settings: { _ in [] }, body)
    try Task.checkCancellation()
    return results
}

/// Runs `body` for each host, to the last: errors are values.
///
/// - Parameter hosts: default: those of ``Setting/hosts(_:)``.
/// - Returns: what each came to, with its host, in their order.
/// - Throws: ``OperationError`` `noHost` if there is none; `CancellationError`, when all have ended.
public func collect<R: Sendable>(
    _ mode: ExecutionMode = .serial,
    on hosts: [OperationHost]? = nil,
    _ body: @Sendable () async throws -> R
) async throws -> HostResults<Result<R, any Error>> {
    let hosts = try Settings.current.hosts(hosts)
    let results = await Outcomes.of(hosts, mode, stopsAtFailure: false, settings: { [.host($0)] }) { _ in
        try await body()
    }
    try Task.checkCancellation()
    return HostResults(hosts, results)
}

private func raise<R: Sendable>(
    _ results: [Result<R, any Error>], _ mode: ExecutionMode, labels: (Int) -> String
) throws -> [R] {
    try Task.checkCancellation()
    if mode.limit != nil, let error = ExecutionError(results, labels: labels) { throw error }
    return try results.map { try $0.get() }
}

extension Settings {
    fileprivate func hosts(_ hosts: [OperationHost]?) throws -> [OperationHost] {
        let hosts = hosts ?? self[HostsKey.self] ?? []
        guard !hosts.isEmpty else {
            throw failure(
                OperationError(
                    .noHost, "there are no hosts to run on",
                    advice: "name them: execute(on: [\"web1\"]) or .hosts([\"web1\"])"))
        }
        return hosts
    }
}
