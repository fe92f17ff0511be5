import MartletReactor
import MartletTestKit
import Synchronization
import Testing

@testable import Martlet

@Suite(.leakChecked) struct RelayPaceTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func `Who has been late for too long, all pieces together, is left behind`() async throws {
        let left = Mutex<Set<Int>>([])
        let gate = CreditGate()
        let pace = RelayPace(Reactor.shared, patience: 3 * Self.second) { number in
            left.withLock { _ = $0.insert(number) }
            gate.open()
        }
        for _ in 0..<2 {
            // A fifth of a second is not too long, and a second time not either.
            let (results, behind) = try await pace.all([0, 1, 2]) { number in
                if number == 2 { await Reactor.shared.sleep(Self.second / 5) }
                return number
            }
            #expect(results == [0: 0, 1: 1, 2: 2] && behind.isEmpty)
        }
        let generation = gate.generation
        let (results, behind) = try await pace.all([0, 1, 2]) { number in
            if number == 2 { await gate.wait(since: generation) }
            return number
        }
        #expect(results == [0: 0, 1: 1] && behind == [2])
        #expect(left.withLock { $0 } == [2])
    }

    @Test func `Where half are slow, and where one is alone, nobody is left behind`() async throws {
        let pace = RelayPace(Reactor.shared, patience: Self.second / 100) { _ in }
        let (both, none) = try await pace.all([0, 1]) { number in
            await Reactor.shared.sleep(UInt64(number + 3) * Self.second / 10)
            return number
        }
        #expect(both.count == 2 && none.isEmpty)
        let (one, nobody) = try await pace.all([7]) { number -> Int? in
            await Reactor.shared.sleep(Self.second / 5)
            return nil
        }
        #expect(one.isEmpty && nobody.isEmpty)
    }
}
