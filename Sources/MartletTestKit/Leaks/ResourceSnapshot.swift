import Foundation
import Glibc
import MartletReactor
import Synchronization

/// What this process has open and running at one moment.
struct ResourceSnapshot: Sendable {
    struct Descriptor: Sendable, Hashable {
        var number: Int32
        /// What `/proc/self/fd` says: a path, `socket:[inode]`, `anon_inode:[eventpoll]`...
        var target: String
    }

    struct Thread: Sendable, Hashable {
        var number: Int32
        var name: String
    }

    var descriptors: Set<Descriptor>
    var processes: Set<ProcessTable.Entry>
    var threads: Set<Thread>

    /// The variable that `bin/test` sets. A program that lost its parent is still found by it.
    static let runVariable = "MARTLET_TEST_RUN"

    /// Looks now. Takes a few milliseconds, most of them for the processes.
    static func capture() -> ResourceSnapshot {
        let own = "/proc/\(getpid())"
        let descriptors = ProcFile.numbers(in: "\(own)/fd").compactMap { number in
            ProcFile.link("\(own)/fd/\(number)").map { Descriptor(number: number, target: $0) }
        }
        let threads = ProcFile.numbers(in: "\(own)/task").compactMap { number in
            ProcFile.text("\(own)/task/\(number)/comm").map { Thread(number: number, name: String($0.dropLast())) }
        }
        var processes = Set(ProcessTable.descendants())
        if let run = ProcessInfo.processInfo.environment[runVariable] {
            processes.formUnion(ProcessTable.carrying("\(runVariable)=\(run)"))
        }
        return ResourceSnapshot(
            // The descriptor that read the directory is in what it read.
            descriptors: Set(descriptors.filter { !$0.target.hasPrefix("\(own)/fd") }),
            processes: processes,
            threads: Set(threads)
        )
    }

    /// What is here and was not in `earlier`.
    func new(since earlier: ResourceSnapshot) -> ResourceSnapshot {
        ResourceSnapshot(
            descriptors: descriptors.subtracting(earlier.descriptors),
            processes: processes.subtracting(earlier.processes),
            threads: threads.subtracting(earlier.threads)
        )
    }

    /// What is both here and in `other`.
    func common(with other: ResourceSnapshot) -> ResourceSnapshot {
        ResourceSnapshot(
            descriptors: descriptors.intersection(other.descriptors),
            processes: processes.intersection(other.processes),
            threads: threads.intersection(other.threads)
        )
    }

    /// Without libdispatch's timers: one for each of its three clocks, opened whenever it is first needed, and kept. Other
    /// parts of the process (NIO, for one) have timers as well, so those that were forgiven are counted.
    func withoutSharedTimers() -> ResourceSnapshot {
        let timers = descriptors.filter { $0.target == "anon_inode:[timerfd]" }
        return Self.sharedTimers.withLock { known in
            guard known.union(timers).count <= 3 else { return self }
            known.formUnion(timers)
            var rest = self
            rest.descriptors.subtract(timers)
            return rest
        }
    }

    private static let sharedTimers = Mutex<Set<Descriptor>>([])

    /// Lets the Swift runtime, libdispatch and Martlet open what they open once and keep: the queues of events, the random
    /// source.
    static func warmUp() async {
        try? await Task.sleep(for: .milliseconds(1), clock: .continuous)
        try? await Task.sleep(for: .milliseconds(1), clock: .suspending)
        await withCheckedContinuation { continuation in
            DispatchQueue.global().asyncAfter(wallDeadline: .now() + .milliseconds(1)) { continuation.resume() }
        }
        _ = UInt64.random(in: 0 ... .max)
        // The reactor of the process lives as long as the process.
        _ = Reactor.shared
    }
}
