import Dispatch
import GRDB
import Martlet
import MartletFleet
import Synchronization

/// Writes what comes of a run into the journal, beside the run: nothing waits for it but its end, and that not for long.
///
/// What is known is written within moments, so that a martlet that is killed leaves it. Whatever goes wrong is told once, and
/// disturbs nothing else.
final class RunJournal: Sendable {
    private struct State {
        /// What came of hosts and is not written: one entry a host at most.
        var pending: [JournalHost] = []
        var ending: (status: Int32, stop: String?)?
        var isScheduled = false
    }

    /// What only the writer's queue touches.
    private struct Writer {
        var database: DatabaseQueue?
        var run: Int64 = 0
        var hasFailed = false
    }

    /// How long the end of a run waits for what is not written yet.
    private static let patience = Duration.seconds(2)
    /// How much of a reason is kept.
    private static let reasonLimit = 300

    // A thread of its own: a disk may hang, and then nobody waits for it.
    private let queue = DispatchQueue(label: "martlet.journal")
    private let state = Mutex(State())
    private let writer = Mutex(Writer())
    private let output: Output

    init(_ run: JournalRun, _ hosts: [Host], _ output: Output) {
        self.output = output
        queue.async { [self] in
            write { writer in
                let database = try JournalFile.openOrCreate()
                writer.database = database
                // To close the last connection is to copy its log into the database, and to wait for the disk: the process
                // ends without. Who opens it next finds the log.
                _ = Unmanaged.passRetained(database)
                writer.run = try database.write { database in
                    var run = run
                    try run.insert(database)
                    let id = run.id ?? 0
                    for host in hosts { try JournalHost(host, run: id).insert(database) }
                    try JournalFile.prune(database)
                    return id
                }
            }
        }
    }

    /// Takes in what came of a host.
    func ended<Value: Sendable>(_ result: HostResult<Value>) {
        var host = JournalHost(result.host, run: 0)
        host.verdict = result.verdict
        host.reason = result.reason.map { String($0.prefix(Self.reasonLimit)) }
        host.connect = result.timings?.total.inSeconds
        host.duration = result.duration.inSeconds
        schedule { [host] in $0.pending.append(host) }
    }

    /// All is over. Returns when that is written, or takes too long.
    func finish(_ status: Int32, _ stop: FleetStop?) async {
        schedule { $0.ending = (status, stop.map { String("\($0)".prefix(Self.reasonLimit)) }) }
        let isWritten = Gate()
        queue.async { isWritten.open() }
        await Pause.wait(Self.patience, until: isWritten)
        if !isWritten.isOpen {
            output.say("martlet: the journal's disk does not answer: this run may be missing", to: .error)
        }
    }

    private func schedule(_ change: (inout State) -> Void) {
        let isFirst = state.withLock { state in
            change(&state)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { queue.async { self.writePending() } }
    }

    private func writePending() {
        let (hosts, ending) = state.withLock { state in
            state.isScheduled = false
            defer { (state.pending, state.ending) = ([], nil) }
            return (state.pending, state.ending)
        }
        write { writer in
            guard let database = writer.database else { return }
            let run = writer.run
            try database.write { database in
                for var host in hosts {
                    host.run = run
                    try host.update(database)
                }
                guard let ending else { return }
                try database.execute(
                    sql: "UPDATE run SET ended = ?, status = ?, stop = ? WHERE id = ?",
                    arguments: [SystemCalls.now, ending.status, ending.stop, run])
            }
        }
    }

    private func write(_ body: (inout Writer) throws -> Void) {
        writer.withLock { writer in
            guard !writer.hasFailed else { return }
            do { try body(&writer) } catch {
                writer.hasFailed = true
                let reason =
                    error is CommandFailure ? ": \(HarmlessText.of("\(error)"))" : " \(JournalFile.words(error))"
                output.say("martlet: this run is not in the journal\(reason)", to: .error)
            }
        }
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
