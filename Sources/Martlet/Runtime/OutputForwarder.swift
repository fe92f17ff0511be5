import MartletWire

/// Sends lines to the controller. A message is a pipe's byte (1 or 2), the length of the address of the context that wrote
/// (one byte), the address, and the line.
final class OutputForwarder: Sendable {
    private let stream: ForwardingStream

    init(_ node: ContextNode) {
        let address = node.address
        stream = ForwardingStream(node, .output) { dropped in
            Self.messages(.error, address, Array("martlet: dropped \(dropped) lines of output".utf8))[0]
        }
    }

    /// - Parameter mayDrop: if not, whoever wrote the line waits for ``hasRoom(orTell:)``.
    func send(
        _ pipe: OutputLine.Pipe, _ address: ContextAddress, _ line: [UInt8], mayDrop: Bool, isLast: Bool = false
    ) {
        let messages = Self.messages(pipe, address, line)
        for (index, message) in messages.enumerated() {
            stream.send(message, mayDrop: mayDrop, isLast: isLast && index == messages.count - 1)
        }
    }

    /// As ``ForwardingStream/hasRoom(orTell:)``.
    func hasRoom(orTell waiter: @escaping @Sendable () -> Void) -> Bool { stream.hasRoom(orTell: waiter) }

    /// A line that one message cannot carry goes in pieces.
    static func messages(_ pipe: OutputLine.Pipe, _ address: ContextAddress, _ line: [UInt8]) -> [[UInt8]] {
        let limit = FrameHeader.maximumPayload - 64
        return stride(from: 0, to: max(1, line.count), by: limit).map { start in
            var bytes: [UInt8] = [pipe == .output ? 1 : 2, UInt8(address.byteCount)]
            bytes.append(addingCapacity: address.byteCount) { address.write(to: $0) }
            return bytes + line[start..<min(start + limit, line.count)]
        }
    }

    static func parse(_ bytes: [UInt8]) -> (OutputLine.Pipe, ContextAddress, [UInt8])? {
        guard bytes.count >= 2, bytes[0] == 1 || bytes[0] == 2, bytes.count >= 2 + Int(bytes[1]) else { return nil }
        let end = 2 + Int(bytes[1])
        let address = bytes.withUnsafeBytes { ContextAddress(wire: UnsafeRawBufferPointer(rebasing: $0[2..<end])) }
        return address.map { (bytes[0] == 1 ? .output : .error, $0, Array(bytes[end...])) }
    }

    /// Nothing more is sent; returns the lines that wait.
    func stop() -> [(pipe: OutputLine.Pipe, bytes: [UInt8])] {
        stream.stop().compactMap(Self.parse).map { ($0.0, $0.2) }
    }

    /// Whether nothing waits to be sent.
    var isDrained: Bool { stream.isDrained }
}
