/// Whether ``execute(_:over:_:)`` does one after the other, or several at once.
public struct ExecutionMode: Sendable, Hashable {
    /// `nil`: one after the other, with the settings that hold.
    let limit: Int?

    /// One after the other. The first error ends it.
    public static let serial = ExecutionMode(limit: nil)

    /// Up to 32 at once. One that fails ends no other. Nobody is asked: see ``Setting/abortOnPrompts(_:)``.
    public static let parallel = parallel(atMost: 32)

    /// Up to `count` at once, at least one.
    public static func parallel(atMost count: Int) -> ExecutionMode { ExecutionMode(limit: max(1, count)) }

    /// What holds in each run besides.
    var settings: [Setting] { limit == nil ? [] : [.abortOnPrompts(), .set(ParallelKey.self, to: true)] }
}

enum ParallelKey: SettingKey { typealias Value = Bool }

extension Settings {
    /// Whether this is one of several runs at once, of ``execute(_:over:_:)``.
    public var isParallel: Bool { self[ParallelKey.self] ?? false }
    /// The host that operations go to.
    public var host: OperationHost? { self[HostKey.self] }
}
