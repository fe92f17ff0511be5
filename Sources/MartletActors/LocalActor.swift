import Distributed
import Martlet
import Synchronization

/// What others call of an actor that lives here.
final class LocalActor: Invocable {
    private struct Reference: Sendable { weak var actor: (any DistributedActor)? }

    private let reference: Mutex<Reference>
    private let system: MartletActorSystem
    private let type: any DistributedActor.Type

    init(_ actor: any DistributedActor, _ system: MartletActorSystem) {
        reference = Mutex(Reference(actor: actor))
        self.system = system
        type = Swift.type(of: actor)
    }

    var actor: (any DistributedActor)? { reference.withLock { $0.actor } }

    nonisolated(nonsending) func answer(_ invocation: Invocation) async -> [UInt8] {
        guard let actor else {
            return InvocationAnswer.failed(MartletError(.actorGone, "the actor is not there any more"))
        }
        // Whoever may tell this context what to do may name any method; all others must not lead one actor into another's.
        guard invocation.isFromAbove || ActorTarget.isMethod(invocation.target, of: type) else {
            return InvocationAnswer.failed(
                MartletError(
                    .refused, "this method of \(type) can only be called by a context above its own",
                    advice: "declare it in the actor itself, not generic, in an actor that is not generic"))
        }
        let handler = ActorResultHandler(invocation.runtime)
        do {
            var decoder = try ActorInvocationDecoder(invocation)
            try await system.executeDistributedTarget(
                on: actor, target: RemoteCallTarget(invocation.target), invocationDecoder: &decoder, handler: handler)
        } catch {
            handler.failed(error)
        }
        return handler.answer
    }
}
