/// A path: text, or, as names of files need not be text, bytes.
public protocol PathName: Sendable {
    /// Without a NUL byte.
    var pathBytes: [UInt8] { get }
}

extension String: PathName {
    /// In UTF-8.
    public var pathBytes: [UInt8] { Array(utf8) }
}

extension [UInt8]: PathName {
    /// Itself.
    public var pathBytes: [UInt8] { self }
}
