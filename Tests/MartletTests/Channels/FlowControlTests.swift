import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

/// Holds on to an end, reads nothing until it is told to, and then all.
struct ReadWhenTold: RemoteTask {
    var end: Channel<[UInt8]>
    var signpost: String
    func run(in context: RemoteContext) async throws -> Int {
        Signpost.block(until: signpost)
        var count = 0
        for try await item in end { count += item.count }
        return count
    }
}

/// Sends items of 1 MiB, and leaves in a file how many there were.
struct SendMebibytes: RemoteTask {
    var to: Channel<[UInt8]>
    var count: Int
    var counter: String
    func run(in context: RemoteContext) async throws {
        let item = [UInt8](repeating: 7, count: 1 << 20)
        for number in 1...count {
            try await to.send(item)
            try Data("\(number)".utf8).write(to: URL(fileURLWithPath: counter), options: .atomic)
        }
    }
}

/// Takes what comes and forgets it.
struct Drain: RemoteTask {
    var end: Channel<[UInt8]>
    func run(in context: RemoteContext) async throws -> Int {
        var count = 0
        for try await item in end { count += item.count }
        return count
    }
}

/// How far the resident memory of processes rises.
struct MemoryWatch {
    private var before: [(name: String, pid: Int32, bytes: Int)]

    init(_ processes: [(String, Int32)]) {
        before = processes.map { name, pid in
            // The kernel forgets the peak.
            try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(pid)/clear_refs"))
            return (name, pid, residentMemory(of: pid))
        }
    }

    /// In bytes, at the most since the beginning.
    var growth: [(name: String, bytes: Int)] {
        before.map { ($0.name, residentMemory(of: $0.pid, peak: true) - $0.bytes) }
    }

    func expectFlat(below limit: Int = 40 << 20, sourceLocation: SourceLocation = #_sourceLocation) {
        for (name, bytes) in growth {
            #expect(bytes < limit, "\(name) grew by \(bytes >> 20) MiB", sourceLocation: sourceLocation)
        }
        print("memory:", growth.map { "\($0.name) +\($0.bytes >> 20) MiB" }.joined(separator: ", "))
    }
}

@Suite(.leakChecked) struct FlowControlTests {
    private static let mebibytes = 1024

    /// Waits until a number no longer rises.
    private func untilStill(_ what: String, _ number: () -> Int) async {
        var last = -1
        var looks = 0
        await eventually(within: .seconds(30), what) {
            let now = number()
            looks = now == last && now > 0 ? looks + 1 : 0
            last = now
            return looks >= 10
        }
    }

    @Test func `A reader behind two relays that stops makes the writer wait, and all four stay small`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, first in
                let second = try await first.connect(.local)
                let third = try await second.connect(.local)
                // What is needed once is there before.
                let (warm, far) = third.makeChannel(of: [UInt8].self)
                async let drained = third.call(Drain(end: far))
                for _ in 0..<24 { try await warm.send([UInt8](repeating: 1, count: 1 << 20)) }
                warm.finish()
                #expect(try await drained == 24 << 20)

                let watch = MemoryWatch([
                    ("controller", getpid()), ("first relay", first.facts.processID),
                    ("second relay", second.facts.processID), ("reader", third.facts.processID),
                ])
                let (here, there) = third.makeChannel(of: [UInt8].self)
                let sent = Atomic(0)
                async let count = third.call(ReadWhenTold(end: there, signpost: folder.file("go")))
                async let writer: Void = {
                    let item = [UInt8](repeating: 7, count: 1 << 20)
                    for _ in 0..<Self.mebibytes {
                        try await here.send(item)
                        sent.add(1, ordering: .relaxed)
                    }
                    here.finish()
                }()
                await untilStill("the writer stands still") { sent.load(ordering: .relaxed) }
                #expect(sent.load(ordering: .relaxed) < 40)
                // Others go on meanwhile.
                #expect(try await third.call(Add(a: 1, b: 2), deadline: .seconds(10)) == 3)
                watch.expectFlat()
                folder.touch("go")
                try await writer
                #expect(try await count == Self.mebibytes << 20)
                watch.expectFlat()
            }
        }
    }

    @Test func `So it is where both ends were passed on`() async throws {
        try await TestFolder.with { folder in
            try await withMartlet(OutputLog().options) { martlet in
                let above = try await martlet.connect(.local)
                let writer = try await above.connect(.local)
                let reader = try await martlet.connect(.local)
                let watch = MemoryWatch([
                    ("controller", getpid()), ("relay", above.facts.processID), ("writer", writer.facts.processID),
                    ("reader", reader.facts.processID),
                ])
                let (a, b) = martlet.makeChannel(of: [UInt8].self)
                let counter = folder.file("counter")
                async let sent: Void = writer.call(
                    SendMebibytes(to: a, count: Self.mebibytes, counter: counter))
                async let count = reader.call(ReadWhenTold(end: b, signpost: folder.file("go")))
                await untilStill("the writer stands still") { Int(folder.text("counter")) ?? 0 }
                #expect(Int(folder.text("counter")) ?? .max < 80)
                #expect(try await reader.call(Add(a: 1, b: 2), deadline: .seconds(10)) == 3)
                folder.touch("go")
                try await sent
                #expect(try await count == Self.mebibytes << 20)
                watch.expectFlat()
            }
        }
    }

    @Test func `Small calls pass a transfer that fills two hops`() async throws {
        try await withLocalContext { _, relay in
            let context = try await relay.connect(.local)
            let (here, there) = context.makeChannel(of: [UInt8].self)
            async let drained = context.call(Drain(end: there))
            let sent = Atomic(0)
            let isDone = Atomic(false)
            async let transfer: Void = {
                let item = [UInt8](repeating: 7, count: 1 << 20)
                while !isDone.load(ordering: .relaxed) {
                    try await here.send(item)
                    sent.add(1, ordering: .relaxed)
                }
                here.finish()
            }()
            await eventually("the transfer runs") { sent.load(ordering: .relaxed) > 8 }
            // How much of the transfer goes by while one call is under way: what two hops' queues hold, not a share of it.
            var passed: [Int] = []
            var times: [Duration] = []
            for number in 0..<200 {
                let before = sent.load(ordering: .relaxed)
                let start = ContinuousClock.now
                defer { times.append(ContinuousClock.now - start) }
                #expect(try await context.call(Add(a: number, b: 1), deadline: .seconds(10)) == number + 1)
                passed.append(sent.load(ordering: .relaxed) - before)
            }
            isDone.store(true, ordering: .relaxed)
            try await transfer
            #expect(try await drained == sent.load(ordering: .relaxed) << 20)
            passed.sort()
            times.sort()
            print("calls beside a transfer over two hops: median \(times[100]), p99 \(times[198])")
            #expect(passed[100] <= 16, "a call waits for \(passed[100]) MiB in the middle, \(passed[199]) at the most")
            #expect(passed.reduce(0, +) > 0, "the transfer went on meanwhile")
        }
    }
}
