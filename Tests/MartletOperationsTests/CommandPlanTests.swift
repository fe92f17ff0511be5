import Testing

@testable import MartletOperations

@Suite struct CommandPlanTests {
    private func plan(
        _ request: CommandPlan.Request, _ settings: Setting..., isLocal: Bool = false
    ) throws -> CommandPlan {
        try CommandPlan(request, Settings().applying(settings), isLocal: isLocal)
    }

    @Test(
        arguments: [
            ([], .executable("/bin/sh", ["-c", "ls -l"]), "ls -l"),
            ([.shell(.program("/bin/bash", ["-l", "-c"]))], .executable("/bin/bash", ["-l", "-c", "ls -l"]), "ls -l"),
            ([.shell(.login)], .login("ls -l"), "ls -l"),
            ([.combineErrors()], .executable("/bin/sh", ["-c", "exec 2>&1\nls -l"]), "ls -l"),
            (
                [.shell(.login), .combineErrors()],
                .executable("/bin/sh", ["-c", "exec \"${SHELL:-/bin/sh}\" -c \"$1\" 2>&1", "sh", "ls -l"]), "ls -l"
            ),
            ([.prefix("a")], .executable("/bin/sh", ["-c", "a && {\nls -l\n}"]), "a && ls -l"),
            (
                [.prefix("a"), .prefix("b")], .executable("/bin/sh", ["-c", "a && b && {\nls -l\n}"]), "a && b && ls -l"
            ),
            (
                [.prefix("a"), .combineErrors()], .executable("/bin/sh", ["-c", "exec 2>&1\na && {\nls -l\n}"]),
                "a && ls -l"
            ),
            ([.prefix("a"), .shell(.login)], .login("a && eval 'ls -l'"), "a && ls -l"),
            (
                [.prefix("a"), .shell(.login), .combineErrors()],
                .executable(
                    "/bin/sh",
                    ["-c", "exec \"${SHELL:-/bin/sh}\" -c \"$1\" 2>&1", "sh", "a && eval 'ls -l'"]), "a && ls -l"
            ),
            (
                [.prefix("a # b"), .prefix("c=d")],
                .executable("/bin/sh", ["-c", "eval 'a # b' && c=d && {\nls -l\n}"]), "a # b && c=d && ls -l"
            ),
            ([.prefix("a &"), .shell(.login)], .login("eval 'a &' && eval 'ls -l'"), "a & && ls -l"),
            ([.directory("/a b"), .sudo()], .executable("/bin/sh", ["-c", "ls -l"]), "ls -l"),
            ([.timeout(.seconds(1)), .pty], .executable("/bin/sh", ["-c", "ls -l"]), "ls -l"),
        ] as [([Setting], CommandPlan.Program, String)])
    func `A line is handed to its shell as it is`(
        settings: [Setting], program: CommandPlan.Program, shown: String
    ) throws {
        let plan = try CommandPlan(.line("ls -l"), Settings().applying(settings), isLocal: false)
        #expect(plan.program == program)
        #expect(plan.shown == shown)
    }

    @Test func `All of a line hangs on its prefixes in the login shell too`() throws {
        let plan = try plan(.line("rm -f 'a'; rm -rf b"), .prefix("cd /srv/x"), .shell(.login))
        #expect(plan.program == .login("cd /srv/x && eval 'rm -f '\\''a'\\''; rm -rf b'"))
        #expect(plan.shown == "cd /srv/x && rm -f 'a'; rm -rf b")
    }

    @Test func `Words need no shell, unless something has to come before them`() throws {
        #expect(try plan(.words(["ls", "a b"])).program == .executable("ls", ["a b"]))
        #expect(try plan(.words(["ls", "a b"])).shown == "ls 'a b'")
        #expect(
            try plan(.words(["ls", "a b"]), .prefix("p")).program
                == .executable("/bin/sh", ["-c", "p && exec \"$@\"", "sh", "ls", "a b"]))
        #expect(
            try plan(.words(["ls"]), .combineErrors()).program
                == .executable("/bin/sh", ["-c", "exec \"$@\" 2>&1", "sh", "ls"]))
        #expect(throws: OperationError.self) { try plan(.words([])) }
        #expect(throws: OperationError.self) { try plan(.words([""])) }
    }

    @Test func `Each side has its own directory, and it is no part of the command`() throws {
        let settings: [Setting] = [.directory("/there"), .localDirectory("/here")]
        #expect(try CommandPlan(.line("pwd"), Settings().applying(settings), isLocal: false).directory == "/there")
        #expect(try CommandPlan(.line("pwd"), Settings().applying(settings), isLocal: true).directory == "/here")
        #expect(try plan(.line("pwd")).directory == nil)
    }

    @Test(arguments: [
        ("", "''"), ("a", "a"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$HOME", "'$HOME'"), ("a\nb", "'a\nb'"),
        ("/x/y-1.2_3,+@:z", "/x/y-1.2_3,+@:z"), ("\\", "'\\'"), ("\"", "'\"'"), ("é", "'é'"), ("*", "'*'"),
        ("~", "'~'"), ("a;b", "'a;b'"), ("-n", "-n"), ("a=b", "'a=b'"),
    ])
    func `Quoted text is one word`(text: String, quoted: String) { #expect(shellQuoted(text) == quoted) }

    @Test func `Commands as one, of which each needs the one before`() {
        #expect(single([]) == nil)
        #expect(single(["a"]) == "a")
        #expect(single(["a", "b c", "d"]) == "a && b c && d")
        #expect(single(["a # b"]) == "a # b")
        #expect(single(["a # b", "c; d", "e"]) == "eval 'a # b' && eval 'c; d' && e")
    }
}
