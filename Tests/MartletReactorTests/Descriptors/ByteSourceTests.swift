import Glibc
import MartletReactor
import MartletTestKit
import Synchronization
import Testing

@Suite("Reading pipes", .nothingLeft, .timeLimit(.minutes(1)))
struct ByteSourceTests {
    @Test func `Bytes come in order and then the end, once`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let got = Mutex<[UInt8]>([])
            let ends = Counter()
            let source = ByteSource(pipe.readEnd, reactor: reactor, maximumRead: 1000) { bytes in
                #expect(bytes.count <= 1000)
                got.withLock { $0.append(contentsOf: bytes) }
                return true
            } onEnd: {
                ends.add()
            }
            source.resume()
            let sent = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            #expect(write(pipe.writeEnd, sent, sent.count) == sent.count)
            closeDescriptor(pipe.writeEnd)
            await eventually { ends.count == 1 }
            #expect(got.withLock { $0 } == sent)
            source.resume()
            source.close()
            #expect(ends.count == 1)
        }
    }

    @Test func `Nothing waits only when the consumer has had all that was read`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let (hasBegun, mayEnd) = (Flag(), Flag())
            let source = ByteSource(pipe.readEnd, reactor: reactor) { _ in
                hasBegun.set()
                while !mayEnd.isSet { usleep(1000) }
                return true
            } onEnd: {
            }
            #expect(source.isEmpty)
            #expect(write(pipe.writeEnd, [1] as [UInt8], 1) == 1)
            #expect(!source.isEmpty)
            source.resume()
            await eventually { hasBegun.isSet }
            #expect(!source.isEmpty)
            mayEnd.set()
            await eventually { source.isEmpty }
            source.close()
            closeDescriptor(pipe.writeEnd)
        }
    }

    @Test func `A consumer that says no gets nothing until it resumes`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let reads = Counter()
            let end = Flag()
            let source = ByteSource(pipe.readEnd, reactor: reactor, maximumRead: 1) { _ in
                reads.add()
                return false
            } onEnd: {
                end.set()
            }
            #expect(write(pipe.writeEnd, [1, 2, 3] as [UInt8], 3) == 3)
            for expected in 1...3 {
                source.resume()
                await eventually { reads.count == expected }
                let passed = Flag()
                reactor.schedule(at: Reactor.now + 3_000_000) { passed.set() }
                await eventually { passed.isSet }
                #expect(reads.count == expected)
            }
            closeDescriptor(pipe.writeEnd)
            #expect(!end.isSet)
            source.resume()
            await eventually { end.isSet }
        }
    }

    @Test func `A resume that comes while the consumer says no is not lost`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let total = Counter()
            let wanted = Mutex(false)
            let end = Flag()
            let source = ByteSource(pipe.readEnd, reactor: reactor, maximumRead: 16) { bytes in
                total.add(bytes.count)
                wanted.withLock { $0 = true }
                return false
            } onEnd: {
                end.set()
            }
            // The consumer's other half resumes as soon as it sees that something came: before and after `false`.
            let consumer = Task.detached {
                while !end.isSet {
                    let isWanted = wanted.withLock { wanted in
                        defer { wanted = false }
                        return wanted
                    }
                    if isWanted { source.resume() } else { await Task.yield() }
                }
            }
            source.resume()
            let chunk = [UInt8](repeating: 1, count: 64_000)
            #expect(write(pipe.writeEnd, chunk, chunk.count) == chunk.count)
            closeDescriptor(pipe.writeEnd)
            await eventually { end.isSet }
            await consumer.value
            #expect(total.count == 64_000)
        }
    }

    @Test(arguments: [false, true]) func `What others read as well stays as it is, and is not waited for`(
        isSocket: Bool
    ) async throws {
        try await withReactor { reactor in
            var ends: [Int32] = [0, 0]
            let kind = Int32(SOCK_STREAM.rawValue)
            try #require((isSocket ? socketpair(AF_UNIX, kind, 0, &ends) : pipe(&ends)) == 0)
            let theirs = ends[0]
            let got = Mutex<[UInt8]>([])
            let end = Flag()
            let source = ByteSource(duplicateDescriptor(theirs), reactor: reactor, isShared: true) { bytes in
                got.withLock { $0.append(contentsOf: bytes) }
                return true
            } onEnd: {
                end.set()
            }
            source.resume()
            #expect(writeByte(ends[1], 7) == 1)
            await eventually { got.withLock { $0 } == [7] }
            #expect(fcntl(theirs, F_GETFL) & O_NONBLOCK == 0)
            // Told of a byte that another has taken: it would wait on the polling thread.
            source.ready(.readable)
            #expect(writeByte(ends[1], 9) == 1)
            await eventually { got.withLock { $0 } == [7, 9] }
            closeDescriptor(ends[1])
            await eventually { end.isSet }
            #expect(fcntl(theirs, F_GETFL) & O_NONBLOCK == 0)
            closeDescriptor(theirs)
        }
    }

    @Test func `After close the end is not told`() async throws {
        try await withReactor { reactor in
            let pipe = try Pipe()
            let end = Flag()
            let source = ByteSource(pipe.readEnd, reactor: reactor) { _ in
                true
            } onEnd: {
                end.set()
            }
            source.resume()
            source.close()
            closeDescriptor(pipe.writeEnd)
            let passed = Flag()
            reactor.schedule(at: Reactor.now + 5_000_000) { passed.set() }
            await eventually { passed.isSet }
            #expect(!end.isSet)
        }
    }
}
