import Distributed
public import Martlet

extension Context {
    /// The actors of this process's own context. Make one there to be called from elsewhere:
    /// `Console(actorSystem: web.actorSystem)`.
    public var actorSystem: MartletActorSystem { runtime.actorSystem }

    /// Makes an actor in the context. It lives until ``resign(_:)`` or the context's end, whoever refers to it.
    ///
    /// - Throws: what its initialiser threw, if ``RemoteActor/errors`` names its type; else ``MartletError`` as
    ///   ``call(_:deadline:output:)``; `limitExceeded` if 65,536 actors live there.
    public func spawn<Act: RemoteActor>(
        _ type: Act.Type = Act.self, _ configuration: Act.Configuration, deadline: Duration? = nil
    ) async throws -> Act {
        let spawned = try await call(SpawnActor<Act>(configuration: configuration), deadline: deadline)
        guard let id = spawned.id else {
            _ = try InvocationAnswer.open(spawned.failure, errors: Act.errors, route: route)
            throw MartletError(.protocolViolation, "no actor came of spawning \(type)", route: route)
        }
        return try Act.resolve(id: id, using: actorSystem)
    }

    /// Lets an actor go that was spawned in the context: nobody can call it any more. Calls under way are ended first
    /// by whoever waits for them, not by this.
    ///
    /// - Throws: ``MartletError`` `actorGone` if it was let go before; as ``call(_:deadline:output:)``.
    public func resign<Act: RemoteActor>(_ actor: Act) async throws {
        guard try await call(ResignActor(id: actor.id)) else {
            throw MartletActorSystem.gone(actor.id, "\(Act.self)", route)
        }
    }

    /// Makes an actor in the context that is let go when `body` ends, however it ends.
    ///
    /// - Throws: as ``spawn(_:_:deadline:)``, and what `body` throws.
    public func withActor<Act: RemoteActor, R: Sendable>(
        _ type: Act.Type = Act.self, _ configuration: Act.Configuration, _ body: (Act) async throws -> R
    ) async throws -> R {
        let actor = try await spawn(type, configuration)
        let result: Result<R, any Error>
        do { result = .success(try await body(actor)) } catch { result = .failure(error) }
        // A task of its own, as the caller may be cancelled. A context that is lost has let it go already.
        await Task { [self] in try? await resign(actor) }.value
        return try result.get()
    }
}

extension Controller {
    /// The actors of the controller.
    public var actorSystem: MartletActorSystem { actorRuntime.actorSystem }
}

extension RemoteContext {
    /// The actors of the context that the task runs in. An actor that a task makes lives as long as somebody there keeps it.
    public var actorSystem: MartletActorSystem { actorRuntime.actorSystem }
}

extension ContextRuntime {
    var actorSystem: MartletActorSystem {
        guard let system = companion as? MartletActorSystem else {
            preconditionFailure("a program with MartletActors finds its actor system by its name")
        }
        return system
    }
}

/// Gives the calls of actors that `body` makes a deadline, kept at both ends. One that is nearer already, holds.
///
///     try await withActorDeadline(.seconds(5)) { try await installer.install("martlet") }
///
/// - Parameter deadline: for each call, from its beginning.
/// - Throws: what `body` throws: for a call that took longer, ``MartletError`` `deadlineExceeded`.
public nonisolated(nonsending) func withActorDeadline<R>(
    _ deadline: Duration, _ body: nonisolated(nonsending) () async throws -> R
) async rethrows -> R {
    let shortest = min(deadline, ActorDeadline.current ?? deadline)
    return try await ActorDeadline.$current.withValue(shortest) { try await body() }
}

enum ActorDeadline {
    @TaskLocal static var current: Duration?
}

/// What came of a spawning.
struct SpawnedActor: Codable, Sendable {
    var id: MartletActorID?
    /// Else what ``InvocationAnswer`` makes of an error.
    var failure: [UInt8] = []
}

struct SpawnActor<Act: RemoteActor>: RemoteTask {
    var configuration: Act.Configuration

    func run(in context: RemoteContext) async throws -> SpawnedActor {
        let system = context.actorSystem
        let actor: Act
        do { actor = try await Act(configuration, actorSystem: system) } catch {
            return SpawnedActor(failure: InvocationAnswer.thrown(error))
        }
        guard try system.isKnown(actor.id) else {
            throw MartletError(.limitExceeded, "more than \(Capabilities.limit) actors live here", route: context.route)
        }
        // Whoever wanted it may have gone meanwhile.
        try Task.checkCancellation()
        system.keep(actor, actor.id)
        return SpawnedActor(id: actor.id)
    }
}

struct ResignActor: RemoteTask {
    var id: MartletActorID
    func run(in context: RemoteContext) async throws -> Bool { context.actorSystem.drop(id) }
}
