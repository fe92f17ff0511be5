/// What an agent knows about its machine without asking anybody: it comes with the hello.
public struct Facts: Sendable, Codable, Hashable {
    /// `Linux`, as `uname -s`.
    public var system: String
    /// The kernel's release, as `uname -r`.
    public var release: String
    /// `x86_64`, as `uname -m`.
    public var architecture: String
    /// As `uname -n`.
    public var hostname: String
    /// The name of the effective user, or its number where it has no name.
    public var user: String
    /// The effective user's number.
    public var userID: UInt32
    /// Of the agent.
    public var processID: Int32
    /// Processors that are online.
    public var processors: Int
    /// Physical memory in bytes; 0 where it is not known.
    public var memory: UInt64
    /// `PRETTY_NAME` of `/etc/os-release`, where there is one.
    public var distribution: String?
    /// What runs there instead of an image: `CPython 3.11.7`.
    public var interpreter: String?
}
