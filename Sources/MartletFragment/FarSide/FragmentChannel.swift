import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Negative once nobody reads what is written.
private func sendSome(_ descriptor: Int32, _ start: UnsafeRawPointer, _ count: Int, waits: Bool = true) -> Int {
    send(descriptor, start, count, Int32(MSG_NOSIGNAL) | (waits ? 0 : Int32(MSG_DONTWAIT)))
}

private func say(_ text: String) {
    var text = text + "\n"
    text.withUTF8 { _ = write(2, $0.baseAddress!, $0.count) }
}

/// The other end of it is in the program that sent this fragment.
public let channel = FragmentChannel(FragmentChannel.descriptor)

/// Why a value could not be sent or received.
public enum FragmentChannelError: Error, CustomStringConvertible {
    /// One of the ends was closed.
    case closed
    /// The value cannot be carried, or what came is of another type.
    case valueUnusable(String)

    /// In words.
    public var description: String {
        switch self {
        case .closed: "the channel is closed"
        case .valueUnusable(let why): why
        }
    }
}

/// One end of a two-way channel. Items arrive once, in order. All of it blocks the thread.
public final class FragmentChannel: Sendable {
    /// Set before anything else runs.
    nonisolated(unsafe) static var descriptor: Int32 = -1

    /// Stand where an item's length would.
    private static let finishMark: UInt32 = 0xffff_ffff
    private static let failureMark: UInt32 = 0xffff_fffe
    private static let closeMark: UInt32 = 0xffff_fffd
    private static let limit = 64 * 1024 * 1024

    private struct Failure: Encodable {
        var type: String
        var message: String
    }

    private let descriptor: Int32
    /// Held while an item is written, or read: what belongs together stays together.
    private let writing = Mutex(false)
    private let reading = Mutex(false)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Sends a value, waiting for room.
    ///
    /// - Throws: ``FragmentChannelError``.
    public func send<Value: Encodable>(_ value: Value) throws(FragmentChannelError) {
        var bytes: [UInt8] = [0, 0, 0, 0]
        do { try CBOREncoder(limits: CBORLimits(maximumByteCount: .max)).encode(value, into: &bytes) } catch {
            throw .valueUnusable("a \(Value.self) cannot be sent: \(error)")
        }
        guard bytes.count - 4 <= Self.limit else {
            throw .valueUnusable("a \(Value.self) has more than 64 MiB")
        }
        Self.put(UInt32(bytes.count - 4), &bytes)
        guard !isClosed, write(bytes) else { throw .closed }
    }

    /// Waits for the next value.
    ///
    /// - Returns: `nil` when the other end has finished or was closed, every time.
    /// - Throws: ``FragmentChannelError`` if what came is of another type.
    public func receive<Value: Decodable>(as type: Value.Type = Value.self) throws(FragmentChannelError) -> Value? {
        guard let bytes = reading.withLock({ next(&$0) }) else { return nil }
        do { return try CBORDecoder().decode(Value.self, from: bytes) } catch {
            throw .valueUnusable("an item of the channel is no \(Value.self): \(error)")
        }
    }

    /// What comes, until the other end finishes or is closed. An item of another type ends the fragment with an error;
    /// ``receive(as:)`` throws it.
    public func items<Value: Decodable>(of type: Value.Type = Value.self) -> some Sequence<Value> {
        sequence(state: self) { channel in
            do throws(FragmentChannelError) { return try channel.receive(as: Value.self) } catch { errorInMain(error) }
        }
    }

    /// Whether one of the ends was closed. What came before may still be unread.
    public var isClosed: Bool {
        // The kernel looks at that before it looks at what is to be sent.
        var nothing: UInt8 = 0
        return sendSome(descriptor, &nothing, 0) < 0 && errno != EINTR
    }

    /// Says that nothing more will be sent from here. This end still receives.
    public func finish() {
        writing.withLock { isFinished in
            if !isFinished { put(Self.bytes(Self.finishMark)) }
            isFinished = true
        }
    }

    /// Closes both directions.
    public func close() {
        // Who writes may be waiting for room that never comes: then it is the end of the socket that tells.
        _ = writing.withLockIfAvailable { isFinished in
            var mark = Self.bytes(Self.closeMark)
            _ = sendSome(descriptor, &mark, mark.count, waits: false)
            isFinished = true
        }
        // Wakes who reads, and who writes.
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    func fail(_ error: any Error) {
        let failure = Failure(type: "\(type(of: error))", message: "\(error)")
        var bytes: [UInt8] = [0, 0, 0, 0]
        try? CBOREncoder().encode(failure, into: &bytes)
        Self.put(UInt32(bytes.count - 4), &bytes)
        if !write(Self.bytes(Self.failureMark) + bytes) { say("error: \(failure.type): \(failure.message)") }
    }

    // MARK: Bytes

    private static func put(_ count: UInt32, _ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: count.bigEndian, as: UInt32.self) }
    }

    private static func bytes(_ mark: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0, 0]
        put(mark, &bytes)
        return bytes
    }

    private func write(_ bytes: [UInt8]) -> Bool { writing.withLock { !$0 && put(bytes) } }

    @discardableResult
    private func put(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = sendSome(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
    }

    private func next(_ isAtEnd: inout Bool) -> [UInt8]? {
        guard !isAtEnd else { return nil }
        if let head = read(4) {
            let count = head.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self)) }
            if count <= Self.limit, let item = read(Int(count)) { return item }
        }
        isAtEnd = true
        return nil
    }

    private func read(_ count: Int) -> [UInt8]? {
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let read = recv(descriptor, buffer.baseAddress! + filled, count - filled, 0)
                if read < 0, errno == EINTR { continue }
                guard read > 0 else {
                    isWhole = false
                    return
                }
                filled += read
            }
        }
        return isWhole ? bytes : nil
    }
}
