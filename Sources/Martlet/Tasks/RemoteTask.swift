public import MartletWire

/// A piece of work that can run in any context: a value that carries its arguments, with what to do there.
///
///     struct DiskFree: RemoteTask {
///         var path: String
///         func run(in context: RemoteContext) async throws -> Int { ... }
///     }
///
///     let free = try await web.call(DiskFree(path: "/"))
///
/// Nothing is registered: the far side is a copy of this program and finds the type by its name. So the type must not be
/// `private`, `fileprivate` or local to a function; the call says so before anything is sent.
///
/// `run` may block: descriptors, heartbeats and other calls go on meanwhile. It is cancelled when the caller's task is
/// cancelled, when the call's deadline passes, and when the context is lost.
public protocol RemoteTask: Codable, Sendable {
    /// What `run` returns: `Codable`, or `Void`.
    associatedtype Output: Sendable
    /// What `run` throws. An error type that is `Codable` arrives at the caller as itself, for
    /// `func run(in:) async throws(DiskError)`; any other error arrives as a ``MartletError`` with its text.
    associatedtype Failure: Error = any Error

    func run(in context: RemoteContext) async throws(Failure) -> Output
}

/// What a task knows about where it runs.
public struct RemoteContext: Sendable {
    /// The address of the context that the task runs in.
    public let contextID: ContextAddress
    /// The address of the context that called.
    public let callerID: ContextAddress
    /// The route from the controller to here.
    public let route: Route
    let scope: any ContextScope

    /// The address of the context that started this one; `nil` in the controller.
    public var parentID: ContextAddress? { contextID.parent }
    /// What the process provides for the tasks of its guests: see ``GuestDoor``.
    package var provided: (any Sendable)? { scope.runtime.configuration.provided }
    /// False in the controller, whose own tasks run through the same call.
    public var isAgent: Bool { !contextID.isRoot }
}
