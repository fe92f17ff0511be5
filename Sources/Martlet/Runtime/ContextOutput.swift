public import MartletWire

/// A line that a context's code, or a program that it started outside of ``Context/run(_:options:onLine:)``, wrote to its
/// standard output or error.
public struct ContextOutput: Sendable {
    public var address: ContextAddress
    public var route: Route
    public var pipe: OutputLine.Pipe
    /// Without the end of the line.
    public var bytes: [UInt8]

    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
