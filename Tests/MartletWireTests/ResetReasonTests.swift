import Testing

@testable import MartletWire

@Suite struct ResetReasonTests {
    static func parse(_ bytes: [UInt8]) -> ResetReason { bytes.withUnsafeBytes { ResetReason(bytes: $0) } }

    @Test func `Every reason survives`() {
        for raw in 1...8 as ClosedRange<UInt8> {
            let reason = ResetReason(ResetReason.Code(rawValue: raw)!, "the link to /3 is gone: größer")
            #expect(Self.parse(reason.bytes) == reason)
        }
        #expect(Self.parse(ResetReason(.cancelled, "").bytes) == ResetReason(.cancelled, ""))
    }

    @Test func `A long message is cut between characters and fits`() {
        for lead in 0..<4 {
            let message = String(repeating: "a", count: lead) + String(repeating: "\u{1F426}", count: 400)
            let bytes = ResetReason(.refused, message).bytes
            #expect(bytes.count <= ResetReason.maximumByteCount && bytes.count > ResetReason.maximumByteCount - 4)
            #expect(message.utf8.starts(with: bytes.dropFirst()))
            #expect(String(validating: bytes.dropFirst(), as: UTF8.self) != nil)
        }
        let exact = String(repeating: "b", count: ResetReason.maximumMessage)
        #expect(Self.parse(ResetReason(.refused, exact).bytes).message == exact)
    }

    @Test func `Nothing that a peer sends as a reason is fatal`() {
        #expect(Self.parse([]) == ResetReason(.protocolViolation, ""))
        #expect(Self.parse([200, 0x78]) == ResetReason(.protocolViolation, "x"))
        #expect(Self.parse([1, 0xff, 0xfe]).code == .cancelled)
        #expect(
            Self.parse([1] + [UInt8](repeating: 0x61, count: 5_000)).message.utf8.count == ResetReason.maximumMessage
        )
    }
}
