import MartletMacroExpansion
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacrosGenericTestSupport
import Testing

/// What `@Remote` says of functions that cannot be remote, and how it mends them.
@Suite struct DiagnosticTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var source: String
        /// How the message begins.
        var message: String
        var line = 1
        var column: Int
        var fix: String?
        /// With the fix-it applied.
        var fixed: String?
        var testDescription: String { source }
    }

    static let cases = [
        Case(
            source: "@Remote private func f() {}", message: "a private function cannot be called in another context",
            column: 9, fix: "remove 'private'", fixed: "@Remote func f() {}"),
        Case(
            source: "/// Doc\n@Remote\nfileprivate func f() {}", message: "a fileprivate function", line: 3, column: 1,
            fix: "remove 'fileprivate'", fixed: "/// Doc\n@Remote\nfunc f() {}"),
        Case(
            source: "struct S {\n    @Remote private static func f() {}\n}", message: "a private function", line: 2,
            column: 13, fix: "remove 'private'", fixed: "struct S {\n    @Remote static func f() {}\n}"),
        Case(
            source: "struct S {\n    @Remote func f() {}\n}", message: "an instance method cannot be called", line: 2,
            column: 18, fix: "make it static", fixed: "struct S {\n    @Remote static func f() {}\n}"),
        Case(
            source: "actor S {\n    @Remote public func f() {}\n}", message: "an instance method cannot be called",
            line: 2, column: 25, fix: "make it static",
            fixed: "actor S {\n    @Remote public static func f() {}\n}"),
        Case(
            source: "private enum S {\n    @Remote static func f() {}\n}", message: "what is in 'S', which is private",
            line: 2, column: 25),
        Case(
            source: "struct S<T> {\n    @Remote static func f() {}\n}", message: "what is in the generic type 'S'",
            line: 2, column: 25),
        Case(
            source: "func outer() {\n    @Remote func f() {}\n}", message: "a function inside of another", line: 2,
            column: 18),
        Case(
            source: "protocol P {\n    @Remote static func f()\n}", message: "a requirement of a protocol", line: 2,
            column: 25),
        Case(source: "@Remote struct S {\n}", message: "@Remote goes on functions", column: 1),
        Case(source: "@Remote func f<T>(_ t: T) {}", message: "a generic function cannot be called", column: 15),
        Case(source: "@Remote func f(_ x: some Codable) {}", message: "'some' does not say which type", column: 21),
        Case(
            source: "@Remote func f() -> [some Codable] { [1] }", message: "'some' does not say which type", column: 22),
        Case(source: "@Remote func f(_ x: any Error) {}", message: "'any Error' cannot be sent", column: 21),
        Case(source: "@Remote func f(_ x: [Any]) {}", message: "'Any' cannot be sent", column: 22),
        Case(source: "@Remote func f() -> (Int, Int) { (1, 2) }", message: "a tuple cannot be sent", column: 21),
        Case(source: "@Remote func f(_ x: ()) {}", message: "a tuple cannot be sent", column: 21),
        Case(source: "@Remote func f(_ x: @escaping () -> Int) {}", message: "a closure cannot be sent", column: 31),
        Case(source: "@Remote func f(_ x: Int.Type) {}", message: "a type cannot be sent", column: 21),
        Case(
            source: "@Remote func f(_ x: inout Int) {}", message: "'inout' cannot reach another context's values",
            column: 21, fix: "remove 'inout'", fixed: "@Remote func f(_ x: Int) {}"),
        Case(
            source: "@Remote func f(_ x: isolated A) {}", message: "'isolated' cannot be kept between contexts",
            column: 21,
            fix: "remove 'isolated'", fixed: "@Remote func f(_ x: A) {}"),
        Case(
            source: "@Remote func f(_ x: Int...) {}", message: "a variadic parameter cannot be passed on", column: 16,
            fix: "take an array", fixed: "@Remote func f(_ x: [Int]) {}"),
        Case(
            source: "struct S {\n    @Remote static func f(_ x: Self?) {}\n}", message: "'Self' would be another type",
            line: 2, column: 32, fix: "write 'S'", fixed: "struct S {\n    @Remote static func f(_ x: S?) {}\n}"),
        Case(
            source: "@Remote func f(_ x: Int, _ context: RemoteContext) {}",
            message: "a RemoteContext is the function's first parameter", column: 26),
        Case(source: "@Remote(overload: 1) func f() {}", message: "overload: takes a number from 2 to 9", column: 19),
    ]

    @Test(arguments: cases)
    func `What cannot be remote is said with what to do, and mended where it can be`(_ example: Case) throws {
        // The whole message is the plug-in's; here only how it begins is of interest.
        let message = try #require(Self.messages(of: example.source).first { $0.hasPrefix(example.message) })
        let expanded = example.source.replacing("@Remote(overload: 1) ", with: "").replacing("@Remote\n", with: "")
            .replacing("@Remote ", with: "")
        assertMacroExpansion(
            example.source, expandedSource: expanded,
            diagnostics: [
                DiagnosticSpec(
                    message: message, line: example.line, column: example.column,
                    fixIts: example.fix.map { [FixItSpec(message: $0)] } ?? [])
            ], macroSpecs: ExpansionTests.macros, fixedSource: example.fixed
        ) { Issue.record("\($0.message)") }
    }

    /// All that is said of a source.
    private static func messages(of source: String) -> [String] {
        var messages: [String] = []
        assertMacroExpansion(source, expandedSource: "", diagnostics: [], macroSpecs: ExpansionTests.macros) {
            failure in
            guard failure.message.contains("diagnostics but received") else { return }
            messages = failure.message.split(separator: "\n").dropFirst().map { line in
                let text = line.drop { $0 != " " }.dropFirst()
                return String(text.hasPrefix("error: ") ? text.dropFirst(7) : text)
            }
        }
        return messages
    }

    @Test func `All that is wrong is said at once`() {
        let messages = Self.messages(
            of: "struct S {\n    @Remote private func f<T>(_ x: inout T, _ y: (Int, Int)) {}\n}")
        #expect(messages.count == 5, "\(messages)")
    }
}
