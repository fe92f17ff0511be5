public import Martlet
public import MartletShim

/// Listens on this machine, and leads each connection to what the host that is set can reach, while `body` runs: `ssh -L`.
///
///     try await forwardLocal(to: .port(5432, host: "db.internal")) { forwarding in
///         try await local("pg_dump -h localhost -p \(forwarding.port!) app >app.sql")
///     }
///
/// - Parameters:
///   - place: where to listen. Default: a port of the loopback that is free.
///   - target: names are looked up on the host.
/// - Throws: what `body` throws; `MartletError` if it cannot listen, or the host is not reached. When `body` ends, nothing listens
///   any more, and every connection is closed.
@discardableResult
public func forwardLocal<R: Sendable>(
    _ place: ForwardPlace = .port(0), to target: ForwardPlace, _ settings: Setting...,
    isolation: isolated (any Actor)? = #isolation, _ body: (Forwarding) async throws -> R
) async throws -> R {
    let context = try await hostContext(.all(settings))
    return try await context.forwardLocal(place, to: target, isolation: isolation, body)
}

/// Listens on the host that is set, and leads each connection to what this machine can reach, while `body` runs: `ssh -R`.
///
/// - Parameters:
///   - place: where the host listens. Default: a port of its loopback that is free.
///   - target: names are looked up here.
/// - Throws: as ``forwardLocal(_:to:_:isolation:_:)``.
@discardableResult
public func forwardRemote<R: Sendable>(
    _ place: ForwardPlace = .port(0), to target: ForwardPlace, _ settings: Setting...,
    isolation: isolated (any Actor)? = #isolation, _ body: (Forwarding) async throws -> R
) async throws -> R {
    let context = try await hostContext(.all(settings))
    return try await context.forwardRemote(place, to: target, isolation: isolation, body)
}
