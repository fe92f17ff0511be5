import Glibc
import MartletReactor
import MartletTestKit
import Synchronization
import Testing

@Suite("Jobs of the reactor", .nothingLeft, .timeLimit(.minutes(2)))
struct JobTests {
    @Test func `Tasks that prefer the reactor run on its threads`() async throws {
        try await withReactor { reactor in
            #expect(!reactor.isCurrent)
            await withTaskExecutorPreference(reactor) {
                #expect(reactor.isCurrent)
                await Task.yield()
                #expect(reactor.isCurrent)
            }
        }
    }

    @Test func `Many tasks that yield all complete`() async throws {
        try await withReactor { reactor in
            let sum = await withTaskExecutorPreference(reactor) {
                await withTaskGroup(of: Int.self) { group in
                    for number in 0..<500 {
                        group.addTask {
                            for _ in 0..<20 { await Task.yield() }
                            return number
                        }
                    }
                    return await group.reduce(0, +)
                }
            }
            #expect(sum == 499 * 500 / 2)
        }
    }

    @Test func `Jobs that come from foreign threads all run`() async throws {
        try await withReactor { reactor in
            let ran = Counter()
            // Each child starts on the global executor and hops: an enqueue from a foreign thread, time and again.
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<500 {
                            await withTaskExecutorPreference(reactor) { ran.add() }
                        }
                    }
                }
            }
            #expect(ran.count == 4000)
        }
    }

    @Test func `A single task stays on one thread`() async throws {
        try await withReactor { reactor in
            let threads = await withTaskExecutorPreference(reactor) {
                var threads: Set<UInt> = []
                for _ in 0..<1000 {
                    threads.insert(UInt(pthread_self()))
                    await Task.yield()
                }
                return threads
            }
            #expect(threads.count <= 2)
        }
    }

    @Test func `Threads of the pool keep signals away, except those of a crash`() async throws {
        try await withReactor { reactor in
            await withTaskExecutorPreference(reactor) {
                var mask = sigset_t()
                pthread_sigmask(SIG_BLOCK, nil, &mask)
                let blocked = (1...31).filter { sigismember(&mask, $0) == 1 }
                let free = Set<Int32>([SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGKILL, SIGSTOP])
                #expect(blocked == (1...31).filter { !free.contains($0) })
            }
        }
    }
}
