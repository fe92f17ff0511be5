import GRDB
import Testing

@testable import MartletCommand

@Suite struct JournalPartsTests {
    @Test(
        arguments: [
            (
                ["martlet", "run", "-H", "a", "--", "ls", "--env", "X=1"], ["--", "ls", "--env", "X=1"], ["-H", "a"],
                ["ls", "--env", "X=1"], []
            ),
            (["martlet", "run", "--env", "T=1", "-q", "--env=U=2=3", "w x"], ["w x"], ["-q"], ["w x"], ["T", "U"]),
            (["martlet", "put", "a", "-H", "b", "c"], [], [], ["a", "-H", "b", "c"], []),
            (["martlet", "exec", "--env", "T=1", "s", "--", "--env", "x"], [], [], ["s", "--", "--env", "x"], ["T"]),
            (["martlet", "run", "--rerun", "failed"], [], [], ["--rerun", "failed"], []),
        ] as [([String], [String], [String], [String], [String])])
    func `An invocation is kept without values`(
        _ arguments: [String], _ command: [String], options: [String], words: [String], variables: [String]
    ) {
        let invocation = Invocation(arguments, passing: command)
        #expect(
            invocation
                == Invocation(kind: arguments[1], options: options, words: words, variables: variables))
    }

    @Test func `Only the last runs are kept, and not too many hosts`() throws {
        let database = try DatabaseQueue()
        try JournalFile.makeTables(database)
        func add(_ count: Int, hosts: Int) throws {
            try database.write { database in
                for _ in 0..<count {
                    var run = JournalRun(
                        kind: "run", options: [], words: ["x"], variables: [], directory: "/", hosts: hosts, began: 0,
                        process: 1, processStart: 0)
                    try run.insert(database)
                    try database.execute(
                        sql: "INSERT INTO host (run, number, name, spec, label) VALUES (?, 0, 'a', 'a', 'a')",
                        arguments: [run.id])
                    try JournalFile.prune(database)
                }
            }
        }
        func kept() throws -> [Int64] {
            try database.read { database in
                #expect(try JournalHost.fetchCount(database) == JournalRun.fetchCount(database))
                return try Int64.fetchAll(database, sql: "SELECT id FROM run ORDER BY id")
            }
        }
        try add(300, hosts: 1)
        #expect(try kept() == Array(101...300))
        try add(3, hosts: JournalFile.hostLimit / 2)
        #expect(try kept() == [302, 303])
        try add(1, hosts: JournalFile.hostLimit * 2)
        #expect(try kept() == [304])
        try add(1, hosts: 1)
        #expect(try kept() == [305])
    }
}
