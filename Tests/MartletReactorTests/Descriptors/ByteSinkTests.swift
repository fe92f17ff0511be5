import Glibc
import MartletReactor
import MartletTestKit
import Synchronization
import Testing

@Suite("Writing to pipes", .nothingLeft, .timeLimit(.minutes(1)))
struct ByteSinkTests {
    @Test func `What a full pipe does not take is written later, in order, and then the pipe is closed`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let written = Counter()
            let sink = ByteSink(pipe.writeEnd, reactor: reactor) { written.add($0) }
            let chunks = (0..<100).map { number in [UInt8](repeating: UInt8(number), count: 5000) }
            for chunk in chunks { sink.write(chunk) }
            sink.finish()
            #expect(written.count < 100 * 5000)
            let got = try await readAll(pipe.readEnd, reactor)
            #expect(got == chunks.flatMap(\.self))
            #expect(written.count == got.count)
        }
    }

    @Test func `Chunks of one writer stay in order beside those of others`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let sink = ByteSink(pipe.writeEnd, reactor: reactor)
            let reading = Task { [end = pipe.readEnd] in try await readAll(end, reactor) }
            await withTaskGroup(of: Void.self) { group in
                for writer in 0..<4 {
                    group.addTask(executorPreference: writer % 2 == 0 ? reactor : nil) {
                        for number in 0..<2000 { sink.write([UInt8(writer), UInt8(number & 0xff)] + [9, 9, 9]) }
                    }
                }
            }
            sink.finish()
            let bytes = try await reading.value
            #expect(bytes.count == 4 * 2000 * 5)
            var next: [UInt8: Int] = [:]
            var isWhole = true
            for start in stride(from: 0, to: bytes.count - 4, by: 5) {
                let number = next[bytes[start], default: 0]
                if Int(bytes[start + 1]) != number & 0xff || bytes[start + 4] != 9 { isWhole = false }
                next[bytes[start]] = number + 1
            }
            #expect(isWhole)
        }
    }

    @Test func `When nobody reads any more, everything counts as dropped`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let told = Counter()
            let sink = ByteSink(pipe.writeEnd, reactor: reactor) { told.add($0) }
            await withTaskExecutorPreference(reactor) {
                sink.write([UInt8](repeating: 0, count: 200_000))
                closeDescriptor(pipe.readEnd)
            }
            await eventually { told.count == 200_000 }
            sink.write([1, 2, 3])
            #expect(told.count == 200_003)
        }
    }

    @Test func `A producer may hand over the next chunk whenever one is written, without end`() async throws {
        final class Producer: Sendable {
            let left = Mutex(200_000)
            let sink = Mutex<ByteSink?>(nil)
            func next() {
                let isMore = left.withLock { left in
                    left -= 1
                    return left >= 0
                }
                let sink = sink.withLock { $0 }
                if isMore { sink?.write([1]) } else { sink?.finish() }
            }
        }
        try await withReactor { reactor in
            let producer = Producer()
            // What never is full makes the longest chain.
            let sink = ByteSink(open("/dev/null", O_WRONLY | O_CLOEXEC), reactor: reactor) { _ in producer.next() }
            producer.sink.withLock { $0 = sink }
            producer.next()
            #expect(producer.left.withLock { $0 } < 0)
            producer.sink.withLock { $0 = nil }
        }
    }

    @Test func `Close drops what waits`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let sink = ByteSink(pipe.writeEnd, reactor: reactor)
            sink.write([UInt8](repeating: 0, count: 200_000))
            sink.close()
            let got = try await readAll(pipe.readEnd, reactor)
            #expect(got.count < 200_000)
            sink.write([1])
            sink.finish()
        }
    }
}

/// Reads a pipe to its end, on the reactor, and closes it.
func readAll(_ descriptor: Int32, _ reactor: Reactor) async throws -> [UInt8] {
    let got = Mutex<[UInt8]>([])
    await withCheckedContinuation { continuation in
        let source = ByteSource(descriptor, reactor: reactor) { bytes in
            got.withLock { $0.append(contentsOf: bytes) }
            return true
        } onEnd: {
            continuation.resume()
        }
        source.resume()
    }
    return got.withLock { $0 }
}
