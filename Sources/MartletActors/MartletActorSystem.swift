public import Distributed
public import Martlet
import MartletWire
import Synchronization

/// The distributed actors of one context, and the way from it to those of others.
///
///     distributed actor Installer: RemoteActor {
///         typealias ActorSystem = MartletActorSystem
///         private let root: String
///         init(_ root: String, actorSystem: MartletActorSystem) {
///             self.actorSystem = actorSystem
///             self.root = root
///         }
///         distributed func install(_ name: String) throws -> Version { … }
///     }
///
///     let installer = try await web.spawn(Installer.self, "/usr/local")
///     let version = try await installer.install("martlet")
///
/// An actor is a value to others: pass it as an argument of a task or of an actor, return it, send it over a channel.
/// Whoever has it may call it, from any context of the tree; nobody else can, as a reference holds 128 random bits. A
/// reference is no owner: an actor that was spawned lives until ``Martlet/Context/resign(_:)`` or its context's end, one that
/// was made by its initialiser as any object does. Calls of one that is gone throw ``MartletError`` `actorGone`, or
/// `contextLost` if its context is, with the route.
///
/// Errors that a call throws arrive as themselves if they are `Codable` and ``RemoteActor/errors`` names their type.
/// Generic methods, and generic actors, can be called from contexts above theirs alone, as a call of one names types.
public final class MartletActorSystem: DistributedActorSystem, ContextCompanion, Sendable {
    /// Which actor, and where.
    public typealias ActorID = MartletActorID
    /// How a call is written.
    public typealias InvocationEncoder = ActorInvocationEncoder
    /// How a call is read.
    public typealias InvocationDecoder = ActorInvocationDecoder
    /// Takes what comes of a call.
    public typealias ResultHandler = ActorResultHandler
    /// What may be passed: values that are `Codable`.
    public typealias SerializationRequirement = any Codable

    private struct State {
        var last: UInt64 = 0
        /// Actors that were spawned here.
        var owned: [ActorID: any DistributedActor] = [:]
    }

    /// It owns this object.
    private let runtimeReference: WeakReference<ContextRuntime>
    private let address: ContextAddress
    private let state = Mutex(State())

    package init(_ runtime: ContextRuntime) {
        runtimeReference = WeakReference(runtime)
        address = runtime.node.address
    }

    package var userInfo: [CodingUserInfoKey: any Sendable] { [.actorSystemKey: self] }

    var runtime: ContextRuntime {
        get throws {
            guard let runtime = runtimeReference.object else {
                throw MartletError(.contextLost, "the scope that this actor belonged to has ended")
            }
            return runtime
        }
    }

    /// The context that the system belongs to, for actors that connect to others or make channels.
    ///
    /// - Throws: ``MartletError`` `contextLost` when its scope has ended.
    public var context: RemoteContext { get throws { try runtime.remoteContext } }

    // MARK: Actors here

    /// Called by an actor's initialiser.
    public func assignID<Act>(_ actorType: Act.Type) -> ActorID where Act: DistributedActor, Act.ID == ActorID {
        let number = state.withLock { state in
            state.last += 1
            return state.last
        }
        return ActorID(context: address, number: number, typeName: Self.name(of: actorType), token: .random())
    }

    /// Called when an actor here can be called.
    public func actorReady<Act>(_ actor: Act) where Act: DistributedActor, Act.ID == ActorID {
        // Who is one too many, or comes too late, is as good as gone.
        _ = try? runtime.capabilities.grant(LocalActor(actor, self), actor.id.token)
    }

    /// Called when an actor here is gone.
    public func resignID(_ id: ActorID) { try? runtime.capabilities.withdraw(id.token) }

    /// Keeps an actor until ``drop(_:)``.
    func keep(_ actor: any DistributedActor, _ id: ActorID) { state.withLock { $0.owned[id] = actor } }

    /// - Returns: `false` if it was not kept.
    func drop(_ id: ActorID) -> Bool {
        resignID(id)
        let actor = state.withLock { $0.owned.removeValue(forKey: id) }
        return actor != nil
    }

    func isKnown(_ id: ActorID) throws -> Bool { try runtime.capabilities.find(id.token) != nil }

    static func name(of type: Any.Type) -> String { _mangledTypeName(type) ?? String(reflecting: type) }

    /// The actor, if it is here; `nil` if it is called over the tree.
    ///
    /// - Throws: ``MartletError`` `actorGone` if it is not here any more, `valueUnusable` if it is of another type.
    public func resolve<Act>(id: ActorID, as actorType: Act.Type) throws -> Act?
    where Act: DistributedActor, Act.ID == ActorID {
        guard id.typeName == Self.name(of: actorType) else {
            throw MartletError(.valueUnusable, "the actor \(id) is no \(actorType)")
        }
        guard id.context == address else { return nil }
        guard let local = try runtime.capabilities.find(id.token) as? LocalActor, let actor = local.actor else {
            throw Self.gone(id, "\(actorType)", Route())
        }
        guard let actor = actor as? Act else {
            throw MartletError(.valueUnusable, "the actor \(id) is no \(actorType)")
        }
        return actor
    }

    static func gone(_ id: ActorID, _ type: String, _ route: Route) -> MartletError {
        MartletError(
            .actorGone, "the actor \(type) \(id) is not there any more", route: route,
            advice: "spawn another; whoever spawns or makes an actor has to keep it as long as it is called")
    }

    // MARK: Calls

    /// Begins a call.
    public func makeInvocationEncoder() -> InvocationEncoder { ActorInvocationEncoder(self) }

    /// Calls a method of an actor elsewhere.
    ///
    /// - Throws: what the method threw, if ``RemoteActor/errors`` names its type; else ``MartletError``: `taskFailed` with its
    ///   text, `actorGone`, `contextLost`, `deadlineExceeded`, `valueUnusable`, `limitExceeded`, `refused`;
    ///   `CancellationError`.
    public func remoteCall<Act, Err, Res>(
        on actor: Act, target: RemoteCallTarget, invocation: inout InvocationEncoder, throwing: Err.Type,
        returning: Res.Type
    ) async throws -> Res
    where Act: DistributedActor, Act.ID == ActorID, Err: Error, Res: Codable {
        let (runtime, value) = try await call(actor, target, invocation, throwing)
        do { return try runtime.decode(Res.self, from: value) } catch {
            throw MartletError(
                .valueUnusable, "the result of \(target) does not decode: \(error)",
                route: runtime.route(anywhere: actor.id.context))
        }
    }

    /// Calls a method that returns nothing.
    ///
    /// - Throws: as for one with a result.
    public func remoteCallVoid<Act, Err>(
        on actor: Act, target: RemoteCallTarget, invocation: inout InvocationEncoder, throwing: Err.Type
    ) async throws
    where Act: DistributedActor, Act.ID == ActorID, Err: Error {
        _ = try await call(actor, target, invocation, throwing)
    }

    private func call<Act>(
        _ actor: Act, _ target: RemoteCallTarget, _ invocation: InvocationEncoder, _ error: any Error.Type
    ) async throws -> (ContextRuntime, ArraySlice<UInt8>)
    where Act: DistributedActor, Act.ID == ActorID {
        let runtime = try runtime
        let id = actor.id
        let route = runtime.route(anywhere: id.context)
        do {
            let answer = try await runtime.invoke(
                id.token, at: id.context, target.identifier, invocation.request, subject: "\(target)",
                deadline: ActorDeadline.current)
            let errors = [error] + ((Act.self as? any RemoteActor.Type)?.errors ?? [])
            return (runtime, try InvocationAnswer.open(answer, errors: errors, route: route))
        } catch let error as MartletError
            where error.code == .refused && error.message.hasSuffix(Capabilities.unknownToken)
        {
            throw Self.gone(id, "\(Act.self)", route)
        } catch var error as MartletError where error.route.steps.isEmpty {
            error.route = route
            throw error
        }
    }
}

extension MartletError.Code {
    /// An actor is not there any more: it was resigned, or whoever had it let it go.
    public static let actorGone = MartletError.Code(rawValue: "actorGone")
}

/// Does not keep what it refers to.
final class WeakReference<Object: AnyObject & Sendable>: Sendable {
    private struct Reference: Sendable { weak var object: Object? }
    private let reference: Mutex<Reference>
    init(_ object: Object) { reference = Mutex(Reference(object: object)) }
    var object: Object? { reference.withLock { $0.object } }
}
