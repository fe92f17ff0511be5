public import MartletWire

/// A line that a context's code, or a program that it started outside of ``Context/run(_:options:onLine:)``, wrote to its
/// standard output or error.
public struct ContextOutput: Sendable {
    /// The context that wrote.
    public var address: ContextAddress
    /// How that context is reached.
    public var route: Route
    /// Standard output or error.
    public var pipe: OutputLine.Pipe
    /// Without the end of the line.
    public var bytes: [UInt8]

    /// The line as text: what is not UTF-8 is replaced.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
