import MartletWire

/// Sends lines to the controller. A message is a pipe's byte (1 or 2), the length of the address of the context that wrote
/// (one byte), the address, and the line.
final class OutputForwarder: Sendable {
    private let stream: ForwardingStream

    /// - Parameter limit: how much may wait, in bytes; what is more is dropped.
    init(_ node: ContextNode, limit: Int) {
        let address = node.address
        stream = ForwardingStream(node, .output, limit: limit) { dropped in
            Self.message(.error, address, Array("martlet: dropped \(dropped) lines of output".utf8))
        }
    }

    func send(_ output: ContextOutput) { stream.send(Self.message(output.pipe, output.address, output.bytes)) }

    private static func message(_ pipe: OutputLine.Pipe, _ address: ContextAddress, _ line: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [pipe == .output ? 1 : 2, UInt8(address.byteCount)]
        bytes.append(addingCapacity: address.byteCount) { address.write(to: $0) }
        return bytes + line.prefix(FrameHeader.maximumPayload - 64)
    }

    static func parse(_ bytes: [UInt8]) -> (OutputLine.Pipe, ContextAddress, [UInt8])? {
        guard bytes.count >= 2, bytes[0] == 1 || bytes[0] == 2, bytes.count >= 2 + Int(bytes[1]) else { return nil }
        let end = 2 + Int(bytes[1])
        let address = bytes.withUnsafeBytes { ContextAddress(wire: UnsafeRawBufferPointer(rebasing: $0[2..<end])) }
        return address.map { (bytes[0] == 1 ? .output : .error, $0, Array(bytes[end...])) }
    }

    /// Whether nothing waits to be sent.
    var isDrained: Bool { stream.isDrained }
}
