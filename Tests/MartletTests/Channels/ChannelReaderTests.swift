import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Writes texts as byte strings.
struct WriteTexts: RemoteTask {
    var to: Channel<[UInt8]>
    var texts: [String]
    func run(in context: RemoteContext) async throws {
        for text in texts { try await to.send(Array(text.utf8)) }
    }
}

@Suite(.leakChecked) struct ChannelReaderTests {
    @Test(arguments: Way.available)
    func `Lines are found wherever items begin and end`(way: Way) async throws {
        try await withContext(way) { context in
            let (here, there) = context.makeChannel(of: [UInt8].self)
            async let task: Void = context.call(
                WriteTexts(to: there, texts: ["a", "b\n", "", "c\nd\n\ne", "\n", "grüße, no end"]))
            var reader = ChannelReader(here)
            var lines: [String] = []
            while let line = try await reader.readLine() { lines.append(line) }
            #expect(lines == ["ab", "c", "d", "", "e", "grüße, no end"])
            for _ in 0..<2 {
                let line = try await reader.readLine()
                let bytes = try await reader.read(upTo: 5)
                #expect(line == nil && bytes.isEmpty)
            }
            try await task
        }
    }

    @Test func `Bytes come by number`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: [UInt8].self)
            async let task: Void = context.call(WriteTexts(to: there, texts: ["abc", "defg", "hij"]))
            var reader = ChannelReader(here)
            var parts: [String] = []
            parts.append(String(decoding: try await reader.read(upTo: 2), as: UTF8.self))
            parts.append(String(decoding: try await reader.read(upTo: 9), as: UTF8.self))
            parts.append(String(decoding: try await reader.read(exactly: 5), as: UTF8.self))
            parts.append(String(decoding: try await reader.read(exactly: 5), as: UTF8.self))
            #expect(parts == ["ab", "c", "defgh", "ij"])
            try await task
            try await expectError(.channelClosed) { try await here.send([1]) }
        }
    }

    @Test func `A line without an end comes in pieces`() async throws {
        try await withLocalContext { _, context in
            let (here, there) = context.makeChannel(of: [UInt8].self)
            async let task: Void = context.call(WriteTexts(to: there, texts: [String(repeating: "x", count: 25)]))
            var reader = ChannelReader(here)
            var counts: [Int] = []
            while let line = try await reader.readLine(limit: 10) { counts.append(line.count) }
            #expect(counts == [10, 10, 5])
            try await task
        }
    }
}
