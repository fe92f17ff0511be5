import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet

/// What a context answers is not believed either.
@Suite(.leakChecked) struct AnswerTests {
    enum Lie: String, CaseIterable, Sendable {
        case giantArray, giantMap, giantString, deepNesting, otherType, nothing, unknownByte, cutError, unreadableError

        var bytes: [UInt8] {
            let claim: [UInt8] = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
            return switch self {
            case .giantArray: [0, 0x9b] + claim
            case .giantMap: [0, 0xbb] + claim
            case .giantString: [0, 0x5b] + claim
            case .deepNesting: [0] + [UInt8](repeating: 0x81, count: 60_000)
            case .otherType: [0, 0x61, 0x61]
            case .nothing: []
            case .unknownByte: [7, 1, 2]
            case .cutError: [1, 0xa2, 0x64]
            case .unreadableError: [2, 0xbb] + claim
            }
        }
    }

    @Test(arguments: Lie.allCases)
    func `An answer that is none is an error`(lie: Lie) async throws {
        try await withScene(.controller) { scene in
            let before = residentMemory()
            let call = Task { [context = scene.context] in try await context.call(Add(a: 1, b: 1)) }
            let frame = try #require(scene.raw.opened(.call))
            scene.raw.answer(frame, .end, flags: .last, lie.bytes)
            let error = await #expect(throws: MartletError.self) { try await call.value }
            #expect(error?.code == .valueUnusable || error?.code == .protocolViolation, "\(error as Any)")
            #expect(residentMemory() - before < 8 << 20)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `An answer that never ends is cut at the limit`() async throws {
        try await withScene(.controller) { scene in
            let call = Task { [context = scene.context] in try await context.call(Add(a: 1, b: 1)) }
            let frame = try #require(scene.raw.opened(.call))
            let payload = [UInt8](repeating: 0, count: FrameHeader.maximumPayload)
            var credit = 256 * 1024
            var reset: ResetReason?
            for _ in 0..<1_100 where reset == nil {
                while credit < payload.count + 32, reset == nil {
                    guard
                        let next = scene.raw.next(where: {
                            $0.header.stream == frame.header.stream && [.credit, .reset].contains($0.header.kind)
                        })
                    else { break }
                    reset = next.reset
                    if reset == nil { credit += next.payload.reduce(0) { $0 << 8 | Int($1) } }
                }
                credit -= payload.count + 32
                scene.raw.answer(frame, .data, flags: [.more, .bulk], payload)
            }
            if reset == nil { reset = scene.raw.next { $0.header.kind == .reset }?.reset }
            #expect(reset?.code == .limitExceeded)
            let error = await #expect(throws: MartletError.self) { try await call.value }
            #expect(error?.code == .limitExceeded)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `Numbers with which one cannot calculate do no harm`() async throws {
        try await withScene(.controller) { scene in
            let raw = scene.raw
            let most = Duration(_high: .max, low: .max)
            // A child below the bad one, in an age.
            let connect = Task { [context = scene.context] in try await context.connect(.local) }
            let first = try #require(raw.opened(.connect))
            raw.answer(
                first, .data, try CBOREncoder().encode(ConnectProgress(phase: .reach, microseconds: .max)))
            var timings = ConnectTimings()
            timings.phases = [.reach: most, .boot: most, .handshake: .zero - most]
            let child = ConnectEnd.Child(
                number: .max, facts: RawChild.hello("", build: "").facts, timings: timings)
            raw.answer(first, .end, flags: .last, try CBOREncoder().encode(ConnectEnd(child: child)))
            let below = try await connect.value
            #expect(below.timings.total >= .zero)
            #expect(below.address == raw.address.child(.max))
            // No child of that number.
            let none = Task { [context = scene.context] in try await context.connect(.local) }
            let second = try #require(raw.opened(.connect))
            let zero = ConnectEnd.Child(number: 0, facts: child.facts, timings: .init())
            raw.answer(second, .end, flags: .last, try CBOREncoder().encode(ConnectEnd(child: zero)))
            await #expect(throws: MartletError.self) { _ = try await none.value }
            // A status.
            let status = Task { [context = scene.context] in try await context.status() }
            let third = try #require(raw.opened(.status))
            raw.answer(
                third, .end, flags: .last,
                try CBOREncoder().encode(
                    ContextStatus(running: .max, openChannels: .min, openStreams: 0, children: 0, uptime: most)))
            #expect(try await status.value.uptime <= most)
            // A command.
            let command = Task { [context = scene.context] in try await context.run("true") }
            let fourth = try #require(raw.opened(.command))
            raw.answer(
                fourth, .end, flags: .last,
                try CBOREncoder().encode(CommandEnd(exitCode: .min, timedOut: false, microseconds: .max)))
            #expect(try await command.value.termination == .exited(.min))
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `What it prints and logs is told as its own`() async throws {
        let lines = Lines()
        try await withScene(.controller, { $0.onOutput = { lines.add($0) } }) { scene in
            let raw = scene.raw
            let stream = raw.newStream()
            raw.write(raw.open(StreamKind.output.rawValue, to: .root, stream: stream))
            let header = FrameHeader(.data, flags: .fromOpener, stream: stream, to: .root, from: raw.address)
            // As the sibling, as the controller, in broken forms, and then as itself.
            for payload in [[1, 1, 1, 0x78], [1, 0, 0x78], [1, 200, 0x78], [9, 1, 2, 0x78], [1], []] as [[UInt8]] {
                raw.send(header, payload)
            }
            raw.send(header, [1, UInt8(raw.address.byteCount)] + raw.address.wireBytes + Array("mine".utf8))
            await eventually { lines.texts == ["mine"] }
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `What a new context prints has its name before the connect is answered`() async throws {
        let routes = Mutex<[Route]>([])
        try await withScene(.controller, { $0.onOutput = { line in routes.withLock { $0.append(line.route) } } }) {
            scene in
            let raw = scene.raw
            let connect = Task { [context = scene.context] in try await context.connect(.local) }
            let request = try #require(raw.opened(.connect))
            let child = try #require(raw.address.child(1))
            // Only the first number counts.
            for number in [1, 2] as [UInt32] {
                raw.answer(request, .data, try CBOREncoder().encode(ConnectProgress(child: number)))
            }
            for source in [child, try #require(raw.address.child(2))] {
                let stream = raw.newStream()
                raw.write(raw.open(StreamKind.output.rawValue, to: .root, from: source, stream: stream))
                raw.send(
                    FrameHeader(.data, flags: .fromOpener, stream: stream, to: .root, from: source),
                    [1, UInt8(source.byteCount)] + source.wireBytes + Array("early".utf8))
            }
            let route = scene.context.route
            await eventually { routes.withLock { $0.count } == 2 }
            #expect(routes.withLock { $0 } == [route.appending("local"), Route().appending("\(raw.address)/2")])
            let failure = ConnectEnd(failure: MartletError(.connectorFailed, "no"))
            raw.answer(request, .end, flags: .last, try CBOREncoder().encode(failure))
            await #expect(throws: MartletError.self) { try await connect.value }
            scene.checkThatItLives()
        }
    }
}
