import Martlet
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletFleet

private final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

@Suite(.leakChecked) struct FleetRunTests {
    @Test func `Batches go one after the other, with a check between that sees what came of them`() async throws {
        try await withGroup(Array(repeating: "local", count: 5)) { group in
            let log = Log()
            var strategy = FleetStrategy(batches: [1, .percent(40), .rest])
            strategy.verify = { batch in
                let answers = try await batch.group.call(Add(a: 1, b: 1)).get()
                log.add("check \(batch.number)/\(batch.count) \(answers.count) \(batch.outcomes) \(batch.isLast)")
            }
            let results = try await group.with(strategy).each { _, member in log.add("\(member.number)") }
            #expect(results.allSucceeded && results.stop == nil)
            let text = log.all
            #expect(text.count == 8)
            #expect(text[0] == "1" && text[1] == "check 1/3 1 [ok] false")
            #expect(Set(text[2...3]) == ["2", "3"] && text[4] == "check 2/3 2 [ok, ok] false")
            #expect(Set(text[5...6]) == ["4", "5"] && text[7] == "check 3/3 2 [ok, ok] true")
        }
    }

    @Test func `A check that fails ends it: the rest is skipped, with the reason`() async throws {
        try await withGroup(Array(repeating: "local", count: 4)) { group in
            var strategy = FleetStrategy(batches: [1, .rest])
            strategy.verify = { _ in throw PlainError(text: "the site is down") }
            let results = try await group.with(strategy).call(Nothing())
            #expect(results.map(\.outcome.kind) == [.ok, .skipped, .skipped, .skipped])
            #expect("\(results[3].outcome)".contains("the site is down"))
            #expect("\(results.stop!)".contains("behind batch 1"))
            // Who was skipped was not even connected.
            #expect(group.connected.count == 1)
        }
    }

    @Test func `When too much has failed nothing more is begun`() async throws {
        try await withGroup(Array(repeating: "local", count: 6)) { group in
            let results = try await group.with(FleetStrategy(limit: 1, failures: .count(1))).call {
                Behave(kind: $0.number == 1 || $0.number == 3 ? .fail : .fine)
            }
            #expect(results.map(\.outcome.kind) == [.failed, .ok, .failed, .skipped, .skipped, .skipped])
            #expect("\(results.stop!)" == "stopped when 2 had failed, where 1 may")
            let serial = try await group.with(.serial).run("[ $$ -lt 0 ]")
            #expect(serial.map(\.outcome.kind) == [.failed] + Array(repeating: .skipped, count: 5))
            var checked = FleetStrategy.serial
            checked.verify = { if $0.number == 2 { throw PlainError(text: "bad") } }
            let verified = try await group.with(checked).run("true")
            #expect(verified.map(\.outcome.kind) == [.ok, .ok] + Array(repeating: .skipped, count: 4))
        }
    }

    @Test func `The check of a batch in which too many have failed is told so, and can undo it`() async throws {
        try await withGroup(Array(repeating: "local", count: 6)) { group in
            let log = Log()
            var strategy = FleetStrategy(batches: [1, 3, .rest], failures: .count(0))
            strategy.verify = { batch in
                log.add("\(batch.number) \(batch.stop.map { "\($0)" } ?? "goes on") \(batch.succeeded.map(\.number))")
                guard batch.stop != nil else { return }
                try await batch.succeeded.call(Nothing()).get()
                throw PlainError(text: "undone")
            }
            let results = try await group.with(strategy).call { Behave(kind: $0.number == 3 ? .fail : .fine) }
            #expect(results.map(\.outcome.kind) == [.ok, .ok, .failed, .ok, .skipped, .skipped])
            #expect(log.all == ["1 goes on [1]", "2 stopped when 1 had failed, where 0 may [2, 4]"])
            #expect("\(results.stop!)".contains("behind batch 2") && "\(results.stop!)".contains("undone"))
            // One that does not throw leaves the reason as it is.
            strategy.verify = { _ in }
            let again = try await group.with(strategy).call(Behave(kind: .fail))
            #expect("\(again.stop!)" == "stopped when 1 had failed, where 0 may")
        }
    }

    @Test func `The check does not count who has not done all steps`() async throws {
        try await withGroup(["local", "local"]) { group in
            let log = Log()
            var strategy = FleetStrategy(failures: .count(0))
            strategy.order = .inStep
            strategy.verify = { log.add("\($0.outcomes)") }
            let first: @Sendable (Context, GroupMember) async throws -> Void = { _, member in
                if member.number == 2 { throw PlainError(text: "no") }
            }
            let results = try await group.with(strategy).each(steps: [first, { _, _ in log.add("never") }])
            #expect(results.map(\.outcome.kind) == [.skipped, .failed])
            #expect(log.all == ["[skipped, failed]"])
        }
    }

    @Test func `What fails is tried again, and told`() async throws {
        try await TestFolder.with { folder in
            try await withGroup(["local", "local", "local?dir=/nowhere"]) { group in
                var group = group
                let log = Log()
                group.strategy.retry = RetryPolicy(connects: 1, runs: 1)
                group.strategy.retry.pause = .milliseconds(10)
                group.onEvent = { event in
                    if case .retrying(let member, _, _) = event { log.add(member.name) }
                }
                let results = try await group.call { SecondTime(path: folder.file("mark-\($0.number)")) }
                #expect(results.map(\.outcome.kind) == [.ok, .ok, .unreachable], "\(results.map(\.outcome))")
                #expect(results.map(\.attempts) == [2, 2, 2])
                #expect(log.all.sorted() == ["local", "local#2", "local#3"])
            }
        }
    }

    @Test func `When all has to stop nobody waits for a try that will not be`() async throws {
        try await withGroup(["local?dir=/nowhere", "local"]) { group in
            var group = group
            let pausing = Gate()
            group.strategy = FleetStrategy(failures: .count(0), retry: RetryPolicy(connects: 5))
            group.strategy.retry.pause = .seconds(600)
            group.strategy.retry.longestPause = .seconds(600)
            group.onEvent = { if case .retrying = $0 { pausing.open() } }
            let results = try await group.each { _, _ in
                await pausing.wait()
                throw PlainError(text: "enough")
            }
            #expect(results.map(\.outcome.kind) == [.unreachable, .failed])
            #expect("\(results.stop!)".hasPrefix("stopped when 1 had failed"))
        }
    }

    @Test func `A member's time is for all its tries`() async throws {
        try await withGroup(["local", "local"]) { group in
            var strategy = FleetStrategy(retry: RetryPolicy(runs: 100), memberDeadline: .seconds(1))
            strategy.retry.pause = .milliseconds(20)
            let results = try await group.with(strategy).call { Behave(kind: $0.number == 1 ? .last : .fail) }
            #expect(results.map(\.outcome.kind) == [.timedOut, .timedOut], "\(results.map(\.outcome))")
            #expect(results[0].error is MemberDeadlineError)
            #expect(results[0].attempts == 1 && results[1].attempts > 1)
        }
    }

    @Test func `In step nobody begins before all are there; at their own pace nobody waits`() async throws {
        try await TestFolder.with { folder in
            try await withGroup(["local", "local"]) { group in
                let log = Log()
                var group = group
                group.strategy.order = .inStep
                try await group.each(steps: [
                    { _, member in log.add("a\(member.number)") }, { _, member in log.add("b\(member.number)") },
                ]).get()
                #expect(Set(log.all[...1]) == ["a1", "a2"] && Set(log.all[2...]) == ["b1", "b2"])
                // The first waits in its first step for what the second does in its second: in step that would never be.
                group.strategy.order = .free
                let (mark, path) = (folder.file("mark"), folder)
                let results = try await group.each(steps: [
                    { context, member in
                        if member.number == 1 { _ = try await context.call(Meet(wait: mark)) }
                    },
                    { context, member in
                        if member.number == 2 { _ = try await context.call(Meet(leave: mark)) }
                    },
                ])
                #expect(results.allSucceeded && path.has("mark"))
                // Who fails in one step does not go on to the next.
                group.strategy.order = .inStep
                let partly = try await group.each(steps: [
                    { _, member in if member.number == 1 { throw PlainError(text: "no") } },
                    { _, member in log.add("c\(member.number)") },
                ])
                #expect(partly.map(\.outcome.kind) == [.failed, .ok])
                #expect(log.all.last == "c2")
            }
        }
    }

    @Test func `Events tell who is where, to the end`() async throws {
        try await withGroup(["local", "local", "local?dir=/nowhere"]) { group in
            var group = group
            let (events, report) = FleetEvent.makeStream()
            group.onEvent = report
            group.strategy = FleetStrategy(limit: 1)
            var progress = FleetProgress(group)
            #expect(progress.count(.waiting) == 3)
            async let results = group.call(Nothing())
            var order: [String] = []
            for await event in events {
                progress.note(event)
                switch event {
                case .connecting(let member, _): order.append("connecting \(member)")
                case .running(let member, _, _): order.append("running \(member)")
                case .ended(let member, let kind, _): order.append("\(kind) \(member)")
                case .batch(let number, let count, let members):
                    order.append("batch \(number)/\(count) \(members.count)")
                default: break
                }
            }
            #expect(
                order == [
                    "batch 1/1 3", "connecting local", "running local", "ok local", "connecting local#2",
                    "running local#2", "ok local#2", "connecting local#3", "unreachable local#3",
                ])
            #expect(progress.endedCount == 3)
            #expect(progress.nodes(.ended(.unreachable)) == "local#3")
            let count = try await results.count
            #expect(count == 3)
        }
    }

    @Test func `Contexts are closed as their members end, if that is wanted`() async throws {
        try await withGroup(["local", "local"]) { group in
            var strategy = FleetStrategy(limit: 1)
            strategy.closesMembers = true
            let ids = try await group.with(strategy).call(ProcessID()).get()
            #expect(group.connected.isEmpty)
            await eventually { ids.allSatisfy { ProcessTable.entry(of: $0) == nil } }
        }
    }

    @Test func `A strategy that is none is refused`() async throws {
        try await withGroup(["local"]) { group in
            for strategy in [
                FleetStrategy(batches: [0]), FleetStrategy(batches: [.percent(101)]), FleetStrategy(limit: 0),
            ] {
                try await expectError(.misuse) { try await group.with(strategy).call(Nothing()) }
            }
            #expect(group.connected.isEmpty)
        }
    }

    @Test func `Who waits for one connect gets it, though who began it is cancelled`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let tries = Mutex(0)
            let gate = Gate()
            let group = try martlet.group([
                MemberSpec(name: "slow") { _ in
                    let number = tries.withLock { count in
                        count += 1
                        return count
                    }
                    if number == 1 {
                        await gate.wait()
                        try Task.checkCancellation()
                    }
                    return try await martlet.connect(.local)
                }
            ])
            let first = Task { try await group.call(Add(a: 1, b: 1)) }
            await eventually { tries.withLock { $0 } == 1 }
            let second = Task { try await group.call(Add(a: 2, b: 2)) }
            first.cancel()
            #expect(try await first.value[0].outcome.kind == .cancelled)
            #expect(try await second.value.get() == [4])
            #expect(tries.withLock { $0 } == 2)
            await group.close()
        }
    }
}
