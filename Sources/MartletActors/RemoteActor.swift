public import Distributed

/// A distributed actor that can be made in another context: from a value that says how.
///
///     distributed actor Counter: RemoteActor {
///         typealias ActorSystem = MartletActorSystem
///         private var count: Int
///         init(_ start: Int, actorSystem: MartletActorSystem) {
///             self.actorSystem = actorSystem
///             count = start
///         }
///         distributed func next() -> Int { … }
///     }
///
/// The far side finds the type by its name, so it must not be `private` or local to a function.
public protocol RemoteActor: DistributedActor where ActorSystem == MartletActorSystem {
    /// What an actor is made from.
    associatedtype Configuration: Codable & Sendable

    /// Makes the actor, in the context that it is to live in. An error ends the spawning.
    init(_ configuration: Configuration, actorSystem: MartletActorSystem) async throws

    /// The errors that calls throw as themselves; others arrive as a ``MartletError`` with their text. Default: none.
    static var errors: [any (Error & Codable).Type] { get }
}

extension RemoteActor {
    /// None.
    public static var errors: [any (Error & Codable).Type] { [] }
}
