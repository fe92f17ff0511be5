/// Reads a channel of byte strings as one file: wherever the sender's items begin and end.
///
///     let (here, there) = web.makeChannel(of: [UInt8].self)
///     try await web.post(PackFolder(path: "/etc", to: there))
///     var reader = ChannelReader(here)
///     while let line = try await reader.readLine() { … }
///
/// Nothing is read ahead but the item that is being read.
public struct ChannelReader<Outgoing: Codable & Sendable>: Sendable {
    private let end: ChannelEnd<Outgoing, [UInt8]>
    private var rest: ArraySlice<UInt8> = []

    /// Reads what comes over `end`. Nobody else should.
    public init(_ end: ChannelEnd<Outgoing, [UInt8]>) { self.end = end }

    /// Reads up to `count` bytes: what is there, and only if nothing is, what comes next.
    ///
    /// - Returns: nothing at the end of the channel, every time.
    /// - Throws: as ``ChannelEnd/receive(timeout:)``.
    public mutating func read(upTo count: Int) async throws -> [UInt8] {
        guard count > 0, try await fill() else { return [] }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// Reads exactly `count` bytes; fewer only at the end of the channel.
    ///
    /// - Throws: as ``ChannelEnd/receive(timeout:)``.
    public mutating func read(exactly count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, try await fill() {
            let part = rest.prefix(count - bytes.count)
            bytes += part
            rest = rest.dropFirst(part.count)
        }
        return bytes
    }

    /// Reads up to and without the next line feed; a last line may have none.
    ///
    /// - Parameter limit: a longer line comes in pieces, in bytes.
    /// - Returns: `nil` at the end of the channel. What is not UTF-8 is replaced.
    /// - Throws: as ``ChannelEnd/receive(timeout:)``.
    public mutating func readLine(limit: Int = 1 << 20) async throws -> String? {
        var line: [UInt8] = []
        var hasLine = false
        while line.count < limit, try await fill() {
            hasLine = true
            let part = rest.prefix(limit - line.count)
            if let feed = part.firstIndex(of: 0x0a) {
                line += part[..<feed]
                rest = rest[(feed + 1)...]
                break
            }
            line += part
            rest = rest.dropFirst(part.count)
        }
        return hasLine ? String(decoding: line, as: UTF8.self) : nil
    }

    /// - Returns: `false` at the end of the channel.
    private mutating func fill() async throws -> Bool {
        while rest.isEmpty {
            guard let item = try await end.receive() else { return false }
            rest = item[...]
        }
        return true
    }
}
