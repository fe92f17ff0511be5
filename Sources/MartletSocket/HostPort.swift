/// A host and a TCP port of its, as they are written: `web1:4433`, `[::1]:4433`.
package struct HostPort: CustomStringConvertible {
    /// A name or an address, without brackets.
    package var host: String
    package var port: UInt16

    package init(_ host: String, _ port: UInt16) {
        self.host = host
        self.port = port
    }

    /// - Returns: `nil` for a text without a port, or without anything before it.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex,
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.init(String(host), port)
    }

    package var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}
