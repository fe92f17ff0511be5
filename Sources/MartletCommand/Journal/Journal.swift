import GRDB

/// What the journal knows, for those who read it.
struct Journal {
    private let database: DatabaseQueue

    /// Reads it, if there is one.
    ///
    /// - Throws: ``CommandFailure`` if it cannot be read, or if `body` throws one.
    static func reading<R>(_ body: (Journal?) throws -> R) throws -> R {
        do {
            return try body(try JournalFile.openExisting().map { Journal(database: $0) })
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure("cannot read the journal \(JournalFile.words(error))", exitStatus: ExitStatus.failed)
        }
    }

    /// Reads a run, and its hosts in their order.
    ///
    /// - Parameter id: nil: the last one.
    /// - Throws: ``CommandFailure`` if there is none, or it cannot be read.
    static func run(_ id: Int64?) throws -> (JournalRun, [JournalHost]) {
        try reading { journal in
            guard let journal, let run = try journal.run(id) else {
                throw CommandFailure(
                    "there is no run \(id.map { "\($0) " } ?? "")in the journal\(id == nil ? " yet" : "")")
            }
            return (run, try journal.hosts(of: run.id ?? 0))
        }
    }

    /// The last ones, the last of them at the end.
    func runs(_ count: Int) throws -> [JournalRun] {
        try database.read { database in
            try JournalRun.order(Column("id").desc).limit(count).fetchAll(database).reversed()
        }
    }

    private func run(_ id: Int64?) throws -> JournalRun? {
        try database.read { database in
            try id.map { try JournalRun.fetchOne(database, key: $0) }
                ?? JournalRun.order(Column("id").desc).fetchOne(database)
        }
    }

    private func hosts(of run: Int64) throws -> [JournalHost] {
        try database.read { database in
            try JournalHost.filter(Column("run") == run).order(Column("number")).fetchAll(database)
        }
    }

    /// How many hosts of each run ended how; nil stands for what is not known.
    func counts(from first: Int64) throws -> [Int64: [Verdict?: Int]] {
        try database.read { database in
            let rows = try Row.fetchAll(
                database, sql: "SELECT run, verdict, count(*) AS count FROM host WHERE run >= ? GROUP BY run, verdict",
                arguments: [first])
            return rows.reduce(into: [:]) { counts, row in
                let verdict: Verdict? = row["verdict"]
                counts[row["run"], default: [:]][verdict] = row["count"]
            }
        }
    }
}
