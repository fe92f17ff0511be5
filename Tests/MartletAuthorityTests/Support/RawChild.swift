import Foundation
import Glibc
import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// The way in to a ``RawChild``: a shell that copies the link's bytes from one pipe with a name and to another.
struct RawConnector: Connector {
    var folder: String
    var label: String { "raw" }

    func launch(_ bootstrap: Bootstrap) -> Launch {
        // The nonce stands in the line that an honest far side would run.
        let script = """
            n=${2#*MARTLET_AGENT=}; printf %s "${n%% *}" > "$1/new"; mv "$1/new" "$1/nonce"
            cat "$1/out" & p=$!; exec > "$1/in"; cat; kill "$p"
            """
        return .shell(["/bin/sh", "-c", script, "raw", folder, bootstrap.line])
    }
}

/// A child context that means harm: the test says each of its bytes, and sees each that it gets.
///
/// It blocks its thread, which is welcome on Martlet's executor. Every wait has a deadline.
final class RawChild: @unchecked Sendable {
    struct Frame {
        var header: FrameHeader
        var payload: [UInt8]
        var reset: ResetReason? { header.kind == .reset ? payload.withUnsafeBytes { ResetReason(bytes: $0) } : nil }
    }

    let connector: RawConnector
    private(set) var address = ContextAddress.root
    private let input: Int32
    private var output: Int32
    private var received: [UInt8] = []
    private var lastStream: UInt32 = 1000
    private static let limit = Duration.seconds(20)

    init() throws {
        let path = FileManager.default.temporaryDirectory.appending(
            path: "martlet-raw-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: path, withIntermediateDirectories: false)
        connector = RawConnector(folder: path.path)
        for name in ["in", "out"] { #expect(mkfifo("\(path.path)/\(name)", 0o600) == 0) }
        input = Glibc.open("\(path.path)/in", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        output = Glibc.open("\(path.path)/out", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        #expect(input >= 0 && output >= 0)
    }

    /// Closes everything; it is not used any more.
    func remove() {
        hangUp()
        Glibc.close(input)
        try? FileManager.default.removeItem(atPath: connector.folder)
    }

    /// The link's other side sees the end of input.
    func hangUp() {
        guard output >= 0 else { return }
        Glibc.close(output)
        output = -1
    }

    // MARK: Bytes

    /// - Returns: `false` if the link is over, or nobody reads.
    @discardableResult
    func write(_ bytes: [UInt8], within limit: Duration = RawChild.limit) -> Bool {
        var offset = 0
        let deadline = ContinuousClock.now + limit
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(output, $0.baseAddress! + offset, $0.count - offset) }
            if count > 0 {
                offset += count
                continue
            }
            var polls = [
                pollfd(fd: output, events: Int16(POLLOUT), revents: 0), pollfd(fd: input, events: 0, revents: 0),
            ]
            poll(&polls, 2, 100)
            if Int32(polls[1].revents) & POLLHUP != 0 || ContinuousClock.now > deadline { return false }
        }
        return true
    }

    /// The next frame that comes; `nil` when the link is over.
    func next(within limit: Duration = RawChild.limit, sourceLocation: SourceLocation = #_sourceLocation) -> Frame? {
        let deadline = ContinuousClock.now + limit
        while true {
            if case .header(let header, let count) = received.withUnsafeBytes(FrameHeader.parse),
                received.count >= count + header.payloadCount
            {
                let payload = Array(received[count..<count + header.payloadCount])
                received.removeFirst(count + header.payloadCount)
                return Frame(header: header, payload: payload)
            }
            var item = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
            poll(&item, 1, 100)
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(input, &buffer, buffer.count)
            if count > 0 {
                received += buffer[..<count]
            } else if Int32(item.revents) & POLLHUP != 0 {
                return nil
            } else if ContinuousClock.now > deadline {
                Issue.record("no frame came within \(limit)", sourceLocation: sourceLocation)
                return nil
            }
        }
    }

    /// Waits for these bytes, and takes them; `false` if others come.
    func skip(_ bytes: [UInt8], within limit: Duration = RawChild.limit) -> Bool {
        let deadline = ContinuousClock.now + limit
        while received.count < bytes.count, ContinuousClock.now < deadline {
            var item = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
            poll(&item, 1, 20)
            var buffer = [UInt8](repeating: 0, count: 65_536)
            received += buffer[..<max(0, read(input, &buffer, buffer.count))]
        }
        guard received.starts(with: bytes) else { return false }
        received.removeFirst(bytes.count)
        return true
    }

    /// The next frame for which `matches` holds; what comes before it is dropped, but for pings, which are answered.
    func next(
        sourceLocation: SourceLocation = #_sourceLocation, where matches: (Frame) -> Bool
    ) -> Frame? {
        while let frame = next(sourceLocation: sourceLocation) {
            if frame.header.kind == .ping { write(FrameHeader(.pong).bytes) }
            if matches(frame) { return frame }
        }
        return nil
    }

    /// All frames until the link is over.
    func rest(sourceLocation: SourceLocation = #_sourceLocation) -> [Frame] {
        var frames: [Frame] = []
        while let frame = next(sourceLocation: sourceLocation) { frames.append(frame) }
        return frames
    }

    /// Reads on until the link is over.
    func untilOver(sourceLocation: SourceLocation = #_sourceLocation) {
        _ = next(sourceLocation: sourceLocation) { _ in false }
    }

    // MARK: Frames

    func bytes(_ header: FrameHeader, _ payload: [UInt8] = []) -> [UInt8] {
        var header = header
        header.payloadCount = payload.count
        return header.bytes + payload
    }

    @discardableResult
    func send(_ header: FrameHeader, _ payload: [UInt8] = []) -> Bool { write(bytes(header, payload)) }

    /// A number for a stream that this child opens.
    func newStream() -> UInt32 {
        lastStream += 1
        return lastStream
    }

    func open(
        _ kind: UInt8, to target: ContextAddress, from source: ContextAddress? = nil, _ payload: [UInt8] = [],
        stream: UInt32, flags: FrameHeader.Flags = []
    ) -> [UInt8] {
        bytes(
            FrameHeader(.open, flags: flags.union(.fromOpener), stream: stream, to: target, from: source ?? address),
            [kind] + payload)
    }

    /// Opens a stream and waits for what comes of it: a reset, or an end.
    func ask(
        _ kind: StreamKind, to target: ContextAddress, from source: ContextAddress? = nil, _ payload: [UInt8] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> Frame? {
        ask(kind.rawValue, to: target, from: source, payload, sourceLocation: sourceLocation)
    }

    func ask(
        _ kind: UInt8, to target: ContextAddress, from source: ContextAddress? = nil, _ payload: [UInt8] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> Frame? {
        let stream = newStream()
        write(open(kind, to: target, from: source, payload, stream: stream, flags: .last))
        return next(sourceLocation: sourceLocation) {
            $0.header.stream == stream && !$0.header.flags.contains(.fromOpener)
                && ($0.header.kind == .reset || $0.header.kind == .end)
        }
    }

    /// Answers the stream that `frame` opened.
    func answer(_ frame: Frame, _ kind: FrameHeader.Kind, flags: FrameHeader.Flags = [], _ payload: [UInt8]) {
        send(
            FrameHeader(
                kind, flags: flags, stream: frame.header.stream, to: frame.header.source, from: frame.header.destination
            ), payload)
    }

    /// The next stream of a kind that a context above opens to this one.
    func opened(_ kind: StreamKind, sourceLocation: SourceLocation = #_sourceLocation) -> Frame? {
        next(sourceLocation: sourceLocation) { $0.header.kind == .open && $0.payload.first == kind.rawValue }
    }

    // MARK: Handshake

    /// Waits for the launch; returns the nonce.
    func launched() async -> String {
        let path = "\(connector.folder)/nonce"
        await eventually("the launch", within: .seconds(30)) { access(path, F_OK) == 0 }
        return (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }

    func marker(_ nonce: String) -> [UInt8] { [0] + Array("MARTLET".utf8) + [0] + Array(nonce.utf8) }

    static func hello(_ nonce: String, build: String) -> Hello {
        Hello(
            oldest: 1, newest: 1, build: build, nonce: nonce,
            facts: Facts(
                system: "Linux", release: "1", architecture: "x", hostname: "h", user: "u", userID: 0, processID: 0,
                processors: 1, memory: 0))
    }

    /// Becomes a context as an honest agent does.
    func join(build: String) async throws {
        let nonce = await launched()
        write(marker(nonce))
        send(FrameHeader(.hello), try CBOREncoder().encode(Self.hello(nonce, build: build)))
        let frame = try #require(next { $0.header.kind == .welcome })
        address = try CBORDecoder().decode(Welcome.self, from: frame.payload).address
    }
}

extension RawChild {
    private func eventually(_ what: String, within limit: Duration, _ condition: () -> Bool) async {
        await MartletTestKit.eventually(within: limit, what, condition)
    }
}
