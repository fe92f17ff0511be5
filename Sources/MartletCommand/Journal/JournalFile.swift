import GRDB

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The journal's database: `${XDG_STATE_HOME:-~/.local/state}/martlet/journal.sqlite`, for its user alone.
enum JournalFile {
    /// So many runs are kept.
    static let runLimit = 200
    /// And of these so many that they have no more hosts in all, but the last in any case.
    static let hostLimit = 200_000

    /// Whether `MARTLET_JOURNAL` is not `off`.
    static var isWanted: Bool { SystemCalls.variable("MARTLET_JOURNAL") != "off" }

    /// - Throws: ``CommandFailure`` if nobody says where the home is.
    private static func directory() throws(CommandFailure) -> String {
        if let state = SystemCalls.variable("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/martlet" }
        guard let home = SystemCalls.variable("HOME") else {
            throw CommandFailure("HOME is not set", exitStatus: ExitStatus.failed)
        }
        return "\(home)/.local/state/martlet"
    }

    private static func path() throws(CommandFailure) -> String { try directory() + "/journal.sqlite" }

    /// Which file cannot be used, why, and what to try.
    static func words(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else {
            return "\(shownPath): \(HarmlessText.of("\(error)"))\(wayOut)"
        }
        let reason = "\(shownPath): \(HarmlessText.of(error.message ?? "\(error)"))"
        switch error.resultCode {
        case .SQLITE_NOTADB, .SQLITE_CORRUPT, .SQLITE_ERROR: return reason + wayOut
        default: return reason
        }
    }

    private static var shownPath: String { HarmlessText.of((try? path()) ?? "") }
    private static let wayOut = "; move it away, and a new one is made"

    /// - Returns: `nil` if there is none.
    /// - Throws: ``CommandFailure``, `DatabaseError`.
    static func openExisting() throws -> DatabaseQueue? {
        let path = try path()
        guard SystemCalls.exists(path) else { return nil }
        return try open(path)
    }

    /// Makes it if there is none.
    ///
    /// - Throws: ``CommandFailure``, `DatabaseError`.
    static func openOrCreate() throws -> DatabaseQueue {
        let directory = try directory()
        try makeDirectories(directory)
        let path = try path()
        // SQLite would make it as the umask says; what it puts beside it has the mode of this.
        guard makePrivate(path, O_RDWR | O_CREAT) else {
            throw CommandFailure("cannot open \(path): \(SystemCalls.lastError)", exitStatus: ExitStatus.failed)
        }
        // From when it had another mode.
        for end in ["-wal", "-shm"] { _ = makePrivate(path + end, O_RDWR) }
        return try open(path)
    }

    /// Lets nobody else read a file that is ours.
    ///
    /// - Returns: whether it can be opened; if not, `errno` says why.
    private static func makePrivate(_ path: String, _ flags: Int32) -> Bool {
        let descriptor = SystemCalls.openFile(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_uid == geteuid(), status.st_mode & 0o077 != 0 {
            _ = fchmod(descriptor, status.st_mode & 0o700)
        }
        return true
    }

    private static func makeDirectories(_ path: String) throws(CommandFailure) {
        var status = stat()
        if stat(path, &status) != 0 {
            if let end = path.lastIndex(of: "/"), end > path.startIndex { try makeDirectories(String(path[..<end])) }
            guard SystemCalls.makeDirectory(path, mode: 0o700) || errno == EEXIST else {
                throw CommandFailure("cannot make \(path): \(SystemCalls.lastError)", exitStatus: ExitStatus.failed)
            }
        }
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "martlet.journal"
        // Another martlet may be writing: each of its turns is short.
        configuration.busyMode = .timeout(1)
        configuration.journalMode = .wal
        let database = try DatabaseQueue(path: path, configuration: configuration)
        try makeTables(database)
        return database
    }

    /// Of its tables. A later version's changes are made where an earlier one's file is opened.
    private static let version = 1

    /// Makes the tables that are not there yet.
    ///
    /// - Throws: ``CommandFailure`` if a later version made them; `DatabaseError`.
    static func makeTables(_ database: DatabaseQueue) throws {
        func madeVersion(_ database: Database) throws -> Int {
            try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        }
        let made = try database.read(madeVersion)
        guard made <= version else {
            throw CommandFailure(
                "\(shownPath) is the journal of a later version of martlet\(wayOut)", exitStatus: ExitStatus.failed)
        }
        guard made < version else { return }
        try database.write { database in
            // Others may be here for the first time too: who comes second finds them made.
            guard try madeVersion(database) < version else { return }
            try makeFirstTables(database)
            try database.execute(sql: "PRAGMA user_version = \(version)")
        }
    }

    private static func makeFirstTables(_ database: Database) throws {
        try database.create(table: "run") { table in
            // A number is never given twice.
            table.autoIncrementedPrimaryKey("id")
            for column in ["kind", "options", "words", "variables", "directory"] {
                table.column(column, .text).notNull()
            }
            table.column("hosts", .integer).notNull()
            table.column("began", .double).notNull()
            table.column("ended", .double)
            table.column("status", .integer)
            table.column("stop", .text)
            table.column("process", .integer).notNull()
            table.column("processStart", .integer).notNull()
        }
        try database.create(table: "host", options: .withoutRowID) { table in
            table.column("run", .integer).notNull().references("run", onDelete: .cascade)
            table.column("number", .integer).notNull()
            for column in ["name", "spec", "label"] { table.column(column, .text).notNull() }
            table.column("verdict", .text)
            table.column("reason", .text)
            table.column("connect", .double)
            table.column("duration", .double)
            table.primaryKey(["run", "number"])
        }
    }

    /// Removes the runs that are too many.
    static func prune(_ database: Database) throws {
        try database.execute(
            sql: """
                DELETE FROM run WHERE id < (SELECT max(id) FROM run) AND id NOT IN (
                    SELECT id FROM (SELECT id, sum(hosts) OVER (ORDER BY id DESC) AS total FROM run)
                    WHERE total <= ? ORDER BY id DESC LIMIT ?)
                """, arguments: [hostLimit, runLimit])
    }
}
