import Testing

@testable import Martlet

@Suite struct SpecErrorTests {
    private static func error(_ text: String) throws -> SpecError {
        try #require(throws: SpecError.self) { try RouteSpec(text, kinds: .many) }
    }

    /// In the second text carets stand below what is wrong, and behind them what is suggested.
    @Test(
        arguments: [
            ("", "^", .empty),
            ("ssh:a/", "      ^", .empty),
            ("ssh:a//sudo", "      ^", .empty),
            ("/sudo", "^", .empty),
            ("ssh:a?", "      ^", .empty),
            ("ssh:a?identity=k&", "                 ^", .empty),
            ("ssh:a?=k", "      ^", .empty),
            ("sduo:postgres", "^^^^ sudo", .unknownKind),
            ("ssh:a/sduo", "      ^^^^ sudo", .unknownKind),
            ("SSH:web", "^^^ ssh", .unknownKind),
            ("ssh:a?identity=~/k/pythn:", "                   ^^^^^ python", .unknownKind),
            ("ssh:a/db1", "      ^^^", .unknownKind),
            ("ssh:a?identity=keys/web", "                    ^^^", .unknownKind),
            ("web:22x", "    ^^^", .badValue),
            ("wbe:foo", "^^^", .unknownKind),
            ("sduo:", "^^^^ sudo", .unknownKind),
            ("ssh:a?identity=~/k/key?user=x", "                      ^", .strayCharacter),
            ("ssh:a?identiy=k", "      ^^^^^^^ identity", .unknownOption),
            ("ssh:a?ident=k", "      ^^^^^ identity", .unknownOption),
            ("ssh:a?zzz=k", "      ^^^", .unknownOption),
            ("ssh:a?port=22", "      ^^^^", .unknownOption),
            ("local/sudo:x?lgoin", "             ^^^^^ login", .unknownOption),
            ("python?a=1", "       ^", .unknownOption),
            ("ssh:a?identity=k&identity=l", "                 ^^^^^^^^", .duplicateOption),
            ("local?env=A=1&env=B=2&env=A=3", "                          ^", .duplicateOption),
            ("sudo?login&login", "           ^^^^^", .duplicateOption),
            ("ssh", "   ^", .badArgument),
            ("ssh:", "    ^", .badArgument),
            ("ssh/sudo", "   ^", .badArgument),
            ("ssh:a?identity", "      ^^^^^^^^", .badValue),
            ("ssh:a?identity=", "               ^", .badValue),
            ("ssh:a?identity=&option=b", "               ^", .badValue),
            ("sudo?login=yes", "          ^^^^", .badValue),
            ("local?nice=20", "           ^^", .badValue),
            ("local?nice=x", "           ^", .badValue),
            ("local?env=A", "          ^", .badValue),
            ("local?env==A", "          ^^", .badValue),
            ("local?env=A=1&unset=A", "                    ^", .badValue),
            ("podman:a?pull=alwys", "              ^^^^^ always", .badValue),
            ("ssh://web1", "    ^^", .badValue),
            ("ssh:-oProxyCommand=x", "    ^^^^^^^^^^^^^^^^", .badValue),
            ("ssh:a b", "    ^^^", .badValue),
            ("ssh:joe@a b", "        ^^^", .badValue),
            ("ssh:@a", "    ^", .badValue),
            ("ssh:a:0", "      ^", .badValue),
            ("ssh:a:70000", "      ^^^^^", .badValue),
            ("ssh:a:", "      ^", .badValue),
            ("ssh:[::1", "    ^^^^", .badValue),
            ("ssh:[web]", "    ^^^^^", .badValue),
            ("ssh:[::1]x", "         ^", .badValue),
            ("ssh:a%2Fb", "    ^^^^^", .badValue),
            ("ssh:a?identity=%FF", "               ^^^", .badEncoding),
            ("ssh:a?identity=a%00", "                ^^^", .badEncoding),
            ("ssh:a&b", "     ^", .strayCharacter),
            ("ssh:a?identity=k?l", "                ^", .strayCharacter),
            ("ssh:a?login?b", "           ^", .strayCharacter),
            ("ssh:a?identity=~/k/python", "                  ^^^^^^^", .ambiguous),
            ("chroot:/srv/sudo?login", "           ^^^^^", .ambiguous),
            ("ssh:a?identity=~/local/sudo:x", "                ^^^^^^", .ambiguous),
            ("ssh:a?password=x", "      ^^^^^^^^", .secret),
            ("ssh:a?pasword=x", "      ^^^^^^^", .secret),
            ("sudo?passwd=x", "     ^^^^^^", .secret),
            ("joe:hunter2@web1", "   ^^^^", .secret),
            ("ssh:joe:hunter2@web1", "       ^^^^", .secret),
        ] as [(String, String, SpecError.Code)])
    func `Each mistake is pointed at, with the nearest known word`(
        _ text: String, marks: String, code: SpecError.Code
    ) throws {
        let error = try Self.error(text)
        let expected = marks.split(separator: "^", omittingEmptySubsequences: true).map(String.init)
        let indent = marks.prefix { $0 == " " }.count
        let carets = marks.count { $0 == "^" }
        let word = expected.last.flatMap { $0.allSatisfy { $0 == " " } ? nil : String($0.dropFirst()) }
        #expect(error.code == code, "\(error)")
        #expect((error.offset, error.length) == (indent, carets), "\(error)")
        #expect(error.suggestion == word, "\(error)")
        let rendering = error.rendering
        #expect(
            rendering.marks
                == String(repeating: " ", count: indent) + String(repeating: "^", count: carets)
                + (word.map { " did you mean \"\($0)\"?" } ?? ""))
    }

    @Test func `The spec stands below the message, and the carets below it`() throws {
        #expect(
            try Self.error("ssh:web1?identiy=~/.ssh/key").description == """
                ssh has no option "identiy"
                  ssh:web1?identiy=~/.ssh/key
                           ^^^^^^^ did you mean "identity"?
                """)
        #expect(
            try Self.error("ssh:bastion/db1").description == """
                there is no way in called "db1"
                  ssh:bastion/db1
                              ^^^
                  try: for ssh to a host of this name write ssh:db1; a / inside of a text is written %2F, and a path \
                begins with /, ~ or .
                """)
        #expect(try Self.error("ssh:web1?port=22").advice == "write the port behind the host: ssh:host:2222")
        #expect(
            try Self.error("ssh:a?identity=~/k/python").advice
                == "write /python: for the hop, %2Fpython for the path")
    }

    @Test(arguments: [
        "ssh:web1?password=hunter2", "ssh:web1?passwort=hunter2&identity=k", "ssh:joe:hunter2@web1/sudo",
        "joe:hunter2@web1:22", "ssh:web1?password=hunter2?x=y", "ssh:web1?password=hunter2/sduo:x",
        "sduo:x/ssh:a?passphrase=hunter2",
    ])
    func `A secret is not repeated`(_ text: String) throws {
        let error = try Self.error(text)
        #expect(!"\(error) \(error.spec)".contains("hunter2"))
        #expect(error.spec.contains("***"), "\(error)")
    }

    @Test func `A secret says where it goes instead`() throws {
        let error = try Self.error("ssh:web1?password=x&identity=k")
        #expect(
            error.description.hasPrefix("\"password\" never stands in a spec\n  ssh:web1?password=***&identity=k\n"))
        #expect(error.advice?.contains("asked for") == true)
        // What stands behind a masked value is still pointed at.
        let later = try Self.error("ssh:web1?password=hunter2&a?b")
        #expect(later.spec == "ssh:web1?password=***&a?b")
        #expect(later.offset == 23)
    }

    @Test(arguments: [
        "ssh:a\u{1b}[31m", "ssh:\u{0}", "a\nb", "\u{9b}", "ssh:a/\u{7f}", "\u{1b}]0;x\u{7}", "ssh:a?\u{8}=b",
    ])
    func `Control characters do nothing`(_ text: String) throws {
        let error = try Self.error(text)
        #expect(error.code == .strayCharacter)
        let rendering = error.rendering
        let shown = "\(error.message)\(rendering.text)\(rendering.marks)\(error.advice ?? "")"
        #expect(shown.unicodeScalars.allSatisfy { !SpecCharacters.isControl($0) }, "\(shown.debugDescription)")
    }

    @Test func `The caret stands below what is shown, however wide that is`() throws {
        #expect(try Self.error("ssh:日本/x").rendering.marks == "         ^")
        #expect(try Self.error("ssh:e\u{301}é/x").rendering.marks == "       ^")
        #expect(
            try Self.error("sudo:\u{202e}/sduo").rendering == (
                "sudo:<U+202E>/sduo", "              ^^^^ did you mean \"sudo\"?"
            ))
        #expect(try Self.error("a\u{1b}").rendering == ("a^[", " ^^"))
    }

    @Test func `Of a long spec the part around the mistake is shown`() throws {
        let error = try Self.error(
            "ssh:" + String(repeating: "a", count: 500) + "/sduo/" + String(repeating: "b", count: 500))
        #expect(error.rendering.text.count < 180)
        let column = error.rendering.marks.prefix { $0 == " " }.count
        #expect(error.rendering.text.dropFirst(column).hasPrefix("sduo/"))
        #expect(try Self.error(String(repeating: "a", count: 100_000)).code == .tooLong)
        #expect(try Self.error(Array(repeating: "local", count: 32).joined(separator: "/")).code == .tooLong)
        _ = try RouteSpec(Array(repeating: "local", count: 31).joined(separator: "/"))
    }

    @Test(arguments: [
        ("sduo", "sudo"), ("sud", "sudo"), ("sudoo", "sudo"), ("dokcer", "docker"), ("docer", "docker"),
        ("Podman", "podman"),
        ("kub", "kubectl"), ("x", nil), ("", nil), ("zzzz", nil), ("db1", nil),
    ])
    func `The nearest word is near`(_ word: String, nearest: String?) {
        #expect(NearestWord.of(word, among: ["sudo", "docker", "podman", "kubectl", "su", "lxc"]) == nearest)
    }
}
