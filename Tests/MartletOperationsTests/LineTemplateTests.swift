import Martlet
import Testing

@testable import MartletOperations

@Suite struct LineTemplateTests {
    private func values(_ line: String = "hi", pipe: String = "out") -> LineTemplate.Values {
        .init(
            host: "web1", pipe: pipe, command: "echo hi", line: Array(line.utf8),
            time: LocalTime(year: 2026, month: 3, day: 4, hour: 5, minute: 6, second: 7, millisecond: 8))
    }

    private func shown(_ template: String, _ line: String = "hi", showsPrefix: Bool = true) throws -> String {
        String(decoding: try LineTemplate(template).format(values(line), showsPrefix: showsPrefix), as: UTF8.self)
    }

    @Test(arguments: [
        ("{line}", "hi"), ("[{host}] {pipe}: {line}\n", "[web1] out: hi\n"), ("{line}{line}", "hihi"),
        ("{year}-{month}-{day} {hour}:{minute}:{second}.{ms} {line}", "2026-03-04 05:06:07.008 hi"),
        ("{command} > {line}", "echo hi > hi"), ("{{{line}}}", "{hi}"), ("→ {line} ←", "→ hi ←"),
        ("{{}} {line}", "{} hi"),
    ])
    func `Fields stand for what they say`(template: String, line: String) throws {
        #expect(try shown(template) == line)
    }

    @Test(arguments: [
        ("[{host}] {pipe}: {line}\n", "hi\n"), ("{line}\n", "hi\n"), ("> {line} <", "hi <"),
        ("{host}{line}{host}", "hiweb1"), ("{pipe} {line} {line}", "hi hi"),
    ])
    func `Without its prefix a line begins with itself`(template: String, line: String) throws {
        #expect(try shown(template, showsPrefix: false) == line)
    }

    @Test(arguments: [
        "{lines}", "{}", "{host} only", "{line", "line}", "{line} {", "{line} }", "{ line }", "{LINE}", "",
    ])
    func `A template that is none is an error at once`(template: String) throws {
        let error = #expect(throws: OperationError.self) { _ = try Setting.lineTemplate(template) }
        #expect(error?.code == .misuse)
        #expect(error?.message.contains(template) == true)
    }

    @Test func `Lines pass byte for byte`() throws {
        var values = values()
        values.line = Array(0...255)
        #expect(LineTemplate.standard.format(values) == Array("[web1] out: ".utf8) + Array(0...255) + [0x0a])
        #expect(try shown("{line}", "grüße 🐦") == "grüße 🐦")
    }

    @Test func `The local time is one`() {
        let now = LocalTime.now
        #expect(now.year >= 2024 && (1...12).contains(now.month) && (1...31).contains(now.day))
        #expect((0...23).contains(now.hour) && (0...999).contains(now.millisecond))
        #expect(now[.month].count == 2 && now[.ms].count == 3 && now[.year].count == 4)
    }

    @Test(
        arguments: [
            ([], "[mock] run: c\n[mock] out: o\n[mock] err: e\n"),
            ([.hide(.running)], "[mock] out: o\n[mock] err: e\n"),
            ([.hide(.output)], "[mock] run: c\n[mock] err: e\n"),
            ([.hide(.errors)], "[mock] run: c\n[mock] out: o\n"),
            ([.hide([.output, .errors])], "[mock] run: c\n"), ([.quiet], ""),
            ([.quiet, .show(.output)], "[mock] out: o\n"),
            ([.displayPrefix(false)], "c\no\ne\n"),
            ([.pipeName("backup")], "[mock] backup: c\n[mock] backup: o\n[mock] backup: e\n"),
            ([.combineErrors(), .hide(.running)], "[mock] out: o\n[mock] out: e\n"),
            ([.dryRun()], "[mock] run: c\n"),
            ([.discardOutput], "[mock] run: c\n[mock] out: o\n[mock] err: e\n"),
        ] as [([Setting], String)])
    func `What is shown is what the settings say`(settings: [Setting], text: String) async throws {
        let screen = Screen()
        let mock = MockHost { $0.on("c", .output("o\n", errors: "e\n")) }
        try await withSettings([screen.setting, .mock(mock)] + settings) { try await remote("c") }
        #expect(screen.text == text)
        screen.clear()
        try await withSettings([screen.setting, .mockLocal(mock)] + settings) { try await local("c") }
        #expect(screen.text == text.replacing("[mock]", with: "[local]"))
    }

    @Test func `Standard error is shown there`() async throws {
        let screen = Screen()
        let mock = MockHost { $0.on("c", .output("o\n", errors: "e", exitCode: 3)) }
        try await withSettings(screen.setting, .mock(mock), .warnOnly, .lineTemplate("{line}\n")) {
            try await remote("c")
        }
        #expect(screen.text(.output) == "c\no\n")
        #expect(screen.text(.error) == "e\nWarning: “c” ended with exit code 3\n")
    }
}
