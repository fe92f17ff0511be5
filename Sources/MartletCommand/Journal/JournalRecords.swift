import GRDB
import MartletFleet

/// A run, as the journal has it: never what a command wrote, never the values of variables.
struct JournalRun: Codable, Sendable, FetchableRecord, MutablePersistableRecord {
    static let databaseTableName = "run"

    var id: Int64?
    /// `run`, `exec`, `python`, `put`, `get` or `sync`.
    var kind: String
    /// What stood before the command; empty for kinds whose options may stand anywhere.
    var options: [String]
    /// What was run: the command, or all that was given.
    var words: [String]
    /// The variables that `--env` set, without their values.
    var variables: [String]
    var directory: String
    var hosts: Int
    /// Seconds since 1970.
    var began: Double
    var ended: Double?
    /// With what martlet exited.
    var status: Int32?
    /// Why not all hosts had their turn.
    var stop: String?
    /// Who wrote it, and since when that runs, in the system's ticks: to know whether it runs still.
    var process: Int32
    var processStart: Int64

    mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }

    /// Whether a check behind a batch has failed: ``stop`` is what ``FleetStop`` says of it.
    var hasFailedCheck: Bool { stop?.contains("check behind batch") ?? false }

    /// Whether somebody ended it early: then its status is 128 and the signal.
    var wasInterrupted: Bool { status.map { $0 > 128 } ?? false }

    /// Whether more is to come.
    var isGoingOn: Bool { ended == nil && SystemCalls.processStart(process) == processStart }
}

/// What came of one of a run's hosts.
struct JournalHost: Codable, Sendable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "host"

    var run: Int64
    var number: Int
    /// As it was given, or is called in the inventory.
    var name: String
    /// How it was reached.
    var spec: String
    var label: String
    /// Nil until it is known.
    var verdict: Verdict?
    /// Why it did not succeed, on one line.
    var reason: String?
    /// In seconds.
    var connect: Double?
    var duration: Double?

    init(_ host: Host, run: Int64) {
        (self.run, number) = (run, host.index)
        (name, spec, label) = (host.name.text, host.name.spec, host.label)
    }
}

extension Verdict: Codable, DatabaseValueConvertible {}
