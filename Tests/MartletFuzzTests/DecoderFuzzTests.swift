import MartletLink
import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// Bytes in, values or errors out.
@Suite struct DecoderFuzzTests {
    private static func address(_ random: inout SeededGenerator) -> ContextAddress {
        var address = ContextAddress.root
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let number = UInt32.random(in: 1 ... .max, using: &random) >> UInt32.random(in: 0...31, using: &random)
            address = address.child(max(1, number)) ?? address
        }
        return address
    }

    private static let kinds = (UInt8.min ... .max).compactMap { FrameHeader.Kind(rawValue: $0) }

    @Test func `What is read as a header is written the same`() throws {
        try Fuzz.run("headers", rounds: 20_000) { random in
            let kind = Self.kinds.randomElement(using: &random)!
            let count =
                kind == .credit
                ? 4 : Int.random(in: 0...(kind == .reset ? 1_025 : FrameHeader.maximumPayload), using: &random)
            let header = FrameHeader(
                kind, flags: .init(rawValue: .random(in: 0...31, using: &random)), stream: random.next32(),
                to: kind.isLinkLocal ? .root : Self.address(&random),
                from: kind.isLinkLocal ? .root : Self.address(&random), payloadCount: count)
            var bytes = header.bytes
            for _ in 0..<[0, 0, 1, 2, 5].randomElement(using: &random)! {
                bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: .min ... .max, using: &random)
            }
            bytes += random.bytes(0...20)
            guard case .header(let read, let length) = bytes.withUnsafeBytes(FrameHeader.parse) else { return }
            try demand(read.bytes == Array(bytes[..<length]), "read \(read) from \(bytes)")
            try demand(read.byteCount == length, "length \(length) of \(bytes)")
            for cut in 0..<length {
                let prefix = Array(bytes[..<cut])
                guard case .header = prefix.withUnsafeBytes(FrameHeader.parse) else { continue }
                throw Broken(description: "a header of \(cut) bytes in one of \(length): \(bytes)")
            }
        }
    }

    private static func value(_ random: inout SeededGenerator, _ depth: Int = 0) -> CBORValue {
        switch Int.random(in: 0..<(depth > 4 ? 6 : 9), using: &random) {
        case 0: .text(String(decoding: random.bytes(0...12), as: UTF8.self))
        case 1: .bytes(random.bytes(0...12))
        case 2: .bool(random.chance(2))
        case 3: .null
        case 4: .float(Double(bitPattern: random.next() & ~(0x7ff << 52)))
        case 5:
            random.chance(2)
                ? .unsigned(random.next() >> UInt64.random(in: 0...63, using: &random)) : .negative(random.next())
        case 6, 7: .array((0..<Int.random(in: 0...5, using: &random)).map { _ in value(&random, depth + 1) })
        default:
            CBORValue.map(
                (0..<Int.random(in: 0...5, using: &random)).map { number in
                    .init(.text("\(number)"), value(&random, depth + 1))
                })
        }
    }

    @Test func `A value comes back as it was, and what is changed on the way is another or none`() throws {
        try Fuzz.run("values", rounds: 8_000) { random in
            let value = Self.value(&random)
            let bytes = try CBOREncoder().encode(value)
            try demand(try CBORDecoder().decode(CBORValue.self, from: bytes) == value, "\(value) from \(bytes)")
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0 where !changed.isEmpty: changed.removeLast(Int.random(in: 1...changed.count, using: &random))
                case 1: changed += random.bytes(1...4)
                case 2:
                    let more = random.bytes(1...3)
                    changed.insert(contentsOf: more, at: Int.random(in: 0...changed.count, using: &random))
                default:
                    guard let index = changed.indices.randomElement(using: &random) else { break }
                    changed[index] = .random(in: .min ... .max, using: &random)
                }
            }
            Self.decodeEverything(changed)
            guard let other = try? CBORDecoder().decode(CBORValue.self, from: changed) else { return }
            // Writing is unique, so what was written once more is the same.
            let again = try CBOREncoder().encode(other)
            let last = try CBOREncoder().encode(CBORDecoder().decode(CBORValue.self, from: again))
            try demand(last == again, "\(other) became \(last)")
        }
    }

    /// All that this library reads from other contexts.
    private static func decodeEverything(_ bytes: [UInt8]) {
        let types: [any Decodable.Type] = [
            Hello.self, Welcome.self, CallHeaders.self, LogRecord.self, ConnectEnd.self, ConnectProgress.self,
            ConnectRequest.self, CommandRequest.self, CommandEnd.self, ContextStatus.self, MartletError.self,
            ContextAddress.self, CallAnswer.ThrownError.self, CallChain.Answer.self, OutputLine.self,
        ]
        for type in types {
            switch try? CBORDecoder().decode(type, from: bytes) {
            case let record as LogRecord: _ = record.loggerMetadata
            case let end as ConnectEnd: _ = end.child?.timings.clamped.total
            case let error as MartletError: _ = "\(error)"
            default: break
            }
        }
        _ = CallRequest(bytes)
        _ = OutputForwarder.parse(bytes)
        _ = bytes.withUnsafeBytes { ResetReason(bytes: $0) }
        _ = CallAnswer.failureText(bytes)
    }

    @Test func `What contexts say, with changes, is a value or an error`() throws {
        let facts = Facts(
            system: "Linux", release: "6", architecture: "x", hostname: "h", user: "u", userID: 0, processID: 1,
            processors: 2, memory: 3)
        var timings = ConnectTimings()
        timings.phases = [.boot: .seconds(1), .reach: .milliseconds(3)]
        let event = MartletError(.contextLost, "gone", route: Route(), phase: .boot, advice: "try again")
        let originals: [[UInt8]] = [
            try CBOREncoder().encode(Hello(oldest: 1, newest: 1, build: "a", nonce: "b", facts: facts)),
            try CBOREncoder().encode(ConnectEnd(child: .init(number: 3, facts: facts, timings: timings))),
            try CBOREncoder().encode(ConnectEnd(failure: event)),
            try CBOREncoder().encode(CommandEnd(exitCode: 3, timedOut: false, microseconds: 5)),
            try CBOREncoder().encode(
                ContextStatus(running: 1, openChannels: 2, openStreams: 3, children: 4, uptime: .seconds(5))),
            CallAnswer.failure(event), CallAnswer.thrown(event),
        ]
        Fuzz.run("messages", rounds: 4_000) { random in
            var bytes = originals.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] =
                    random.chance(2)
                    ? .random(in: .min ... .max, using: &random)
                    : [0x1b, 0x3b, 0x9b, 0xfb].randomElement(using: &random)!
            }
            Self.decodeEverything(bytes)
        }
    }
}

extension SeededGenerator {
    mutating func next32() -> UInt32 { UInt32(truncatingIfNeeded: next()) }
}
