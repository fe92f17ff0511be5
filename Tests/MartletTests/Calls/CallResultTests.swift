import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked) struct CallResultTests {
    @Test func `Results of every shape come back as they are`() async throws {
        try await withLocalContext { _, context in
            func check<Value: Codable & Sendable & Equatable>(_ value: Value) async throws {
                #expect(try await context.call(Echo(value: value)) == value)
            }
            try await check(Everything())
            try await check(Int.min)
            try await check(UInt64.max)
            try await check(-0.0)
            try await check("")
            try await check([String]())
            try await check(Int?.none)
            try await check(Int?.some(3))
            try await check([Int?]([1, nil, 3]))
            try await check(Shape.circle(radius: 1.5))
            try await check([1.5: "a", -2: "b"])
            #expect(try await context.call(Echo(value: Double.nan)).isNaN)
        }
    }

    @Test func `A task without a result returns when it is done`() async throws {
        try await withLocalContext { _, context in
            try await context.call(Nothing())
        }
    }

    @Test func `Ten mebibytes go there and back`() async throws {
        try await withLocalContext { _, context async throws in
            let bytes = pattern(10 << 20)
            #expect(try await context.call(Echo(value: bytes)) == bytes)
        }
    }

    @Test func `More than 64 MiB is refused in either direction, and the link goes on`() async throws {
        try await withLocalContext { _, context in
            try await expectError(.limitExceeded) { try await context.call(MakeBytes(count: 64 << 20 + 1)) }
            try await expectError(.limitExceeded) {
                try await context.call(Echo(value: [UInt8](repeating: 1, count: 64 << 20 + 1)))
            }
            #expect(try await context.call(Add(a: 1, b: 2)) == 3)
            #expect(context.node.openStreams == 0)
        }
    }

    @Test func `A call over ssh answers like a local one`() async throws {
        try await withSSHContext { context async throws in
            #expect(try await context.call(Echo(value: Everything())) == Everything())
            let bytes = [UInt8](repeating: 9, count: 3 << 20)
            #expect(try await context.call(Echo(value: bytes)) == bytes)
            await #expect(throws: DiskError(path: "/", code: 28)) { try await context.call(FailTyped(path: "/")) }
        }
    }
}
