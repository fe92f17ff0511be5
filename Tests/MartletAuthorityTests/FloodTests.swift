import Glibc
import Logging
import MartletLink
import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet

/// Whatever a child sends, as fast as it can, memory has a bound and others go on.
@Suite(.leakChecked) struct FloodTests {
    @Test(arguments: [StreamKind.output, .log, .echo, .channel])
    func `Opens without end are refused from a number on`(kind: StreamKind) async throws {
        #expect(SlowLog.isReady)
        try await withScene(.controller) { scene in
            let before = residentMemory()
            var refusals: [ResetReason.Code: Int] = [:]
            for _ in 0..<20 {
                var bytes: [UInt8] = []
                var last: UInt32 = 0
                for _ in 0..<500 {
                    last = scene.raw.newStream()
                    bytes += scene.raw.open(kind.rawValue, to: .root, [1], stream: last)
                }
                scene.raw.write(bytes)
                // Behind these answers come no others.
                let mark = scene.raw.newStream()
                scene.raw.write(scene.raw.open(StreamKind.call.rawValue, to: .root, [], stream: mark))
                while let frame = scene.raw.next(), frame.header.stream != mark {
                    if let code = frame.reset?.code { refusals[code, default: 0] += 1 }
                }
            }
            switch kind {
            case .channel: #expect(refusals == [.refused: 10_000])
            default: #expect(refusals == [.limitExceeded: 10_000 - StreamLimits().maximumStreamsFromBelow])
            }
            #expect(residentMemory() - before < 48 << 20)
            #expect(scene.martlet.runtime.node.openStreams <= StreamLimits().maximumStreamsFromBelow)
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: [StreamKind.echo, .call])
    func `Who asks and does not read the answers is cut off before they fill the memory`(kind: StreamKind) async throws
    {
        try await withScene(.controller) { scene in
            let before = residentMemory()
            var peak = 0
            let payload = [UInt8](repeating: 1, count: IncomingEcho.limit)
            var isOpen = true
            for round in 0..<700 where isOpen {
                var bytes: [UInt8] = []
                for number in 0..<1_000 {
                    bytes += scene.raw.open(
                        kind.rawValue, to: .root, payload, stream: UInt32(round * 1_000 + number + 1), flags: .last)
                }
                isOpen = scene.raw.write(bytes, within: .seconds(5))
                peak = max(peak, residentMemory())
            }
            #expect(peak - before < 160 << 20, "\((peak - before) >> 20) MiB")
            try await scene.checkThatOthersWork()
            await eventually(within: .seconds(30), "the child is gone") {
                scene.martlet.runtime.children.count == 1
            }
        }
    }

    @Test func `Logs that nobody takes have a bound for each child`() async throws {
        #expect(SlowLog.isReady)
        try await withScene(.controller) { scene in
            SlowLog.isHeld.store(true, ordering: .relaxed)
            defer { SlowLog.isHeld.store(false, ordering: .relaxed) }
            let before = residentMemory()
            let record = try LogRecordBytes.make(text: String(repeating: "x", count: 16_000))
            for number in 0..<400 as Range<UInt32> {
                let source = try #require(scene.raw.address.child(number + 1))
                var bytes = scene.raw.open(StreamKind.log.rawValue, to: .root, from: source, stream: 1)
                for _ in 0..<16 {
                    bytes += scene.raw.bytes(
                        FrameHeader(.data, flags: .fromOpener, stream: 1, to: .root, from: source), record)
                }
                scene.raw.write(bytes)
            }
            scene.checkThatItLives()
            // 100 MB were sent.
            #expect(residentMemory() - before < 48 << 20, "\((residentMemory() - before) >> 20) MiB")
            try await scene.checkThatOthersWork()
            SlowLog.isHeld.store(false, ordering: .relaxed)
            await eventually(within: .seconds(60), "it is told that some were dropped") {
                SlowLog.dropped.load(ordering: .relaxed) > 0
            }
        }
    }

    @Test func `What waits for a sibling that does not read has a bound`() async throws {
        try await withScene(.controller, { $0.heartbeatLimit = .seconds(120) }) { scene in
            let deaf = try RawChild()
            defer { deaf.remove() }
            async let connect = scene.martlet.connect(deaf.connector)
            try await deaf.join(build: scene.martlet.runtime.images.ownBuild)
            _ = try await connect
            let before = residentMemory()
            var peak = 0
            let payload = [UInt8](repeating: 1, count: 65_000)
            for number in 0..<1_600 as Range<UInt32> {
                var bytes = scene.raw.open(
                    StreamKind.channel.rawValue, to: deaf.address, payload, stream: number + 1, flags: .bulk)
                let header = FrameHeader(
                    .data, flags: [.fromOpener, .bulk], stream: number + 1, to: deaf.address, from: scene.raw.address)
                for _ in 0..<4 { bytes += scene.raw.bytes(header, payload) }
                guard scene.raw.write(bytes) else { break }
                if number % 50 == 0 { peak = max(peak, residentMemory()) }
            }
            // 500 MB were sent.
            let first = scene.raw.next { $0.header.kind == .reset }
            #expect(first?.reset?.code == .limitExceeded)
            #expect(peak - before < 400 << 20, "\((peak - before) >> 20) MiB")
            try await scene.checkThatOthersWork()
            await scene.context.close(within: .milliseconds(100))
        }
    }

    @Test func `A flood of pings stops nobody`() async throws {
        try await withScene(.controller) { scene in
            let pings = Array(repeatElement(FrameHeader(.ping).bytes, count: 5_000).joined())
            for _ in 0..<20 {
                scene.raw.write(pings)
                var count = 0
                while count < 5_000, scene.raw.next(where: { $0.header.kind == .pong }) != nil { count += 1 }
            }
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }
}

/// A log system that stands still when it is told to.
enum SlowLog {
    static let isHeld = Atomic(false)
    static let dropped = Atomic(0)
    static let isReady: Bool = {
        LoggingSystem.bootstrap { _ in Handler() }
        return true
    }()

    private struct Handler: LogHandler {
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            while SlowLog.isHeld.load(ordering: .relaxed) { usleep(2_000) }
            if "\(event.message)".hasPrefix("dropped ") { SlowLog.dropped.add(1, ordering: .relaxed) }
        }
    }
}

enum LogRecordBytes {
    static func make(text: String) throws -> [UInt8] {
        let event = LogEvent(
            level: .info, message: "\(text)", metadata: [:], source: "s", file: "f", function: "g", line: 1)
        return LogRecord(event, label: "l", metadata: [:]).bytes
    }
}
