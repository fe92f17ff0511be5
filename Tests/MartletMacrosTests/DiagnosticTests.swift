import MartletTestKit
import Testing

/// What `@Remote` says of functions that cannot be remote, and how it mends them.
@Suite(.leakChecked) struct DiagnosticTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var source: String
        /// How the message begins.
        var message: String
        var line = 1
        var column: Int
        var fix: String?
        /// What that puts in which place.
        var edit: String?
        var testDescription: String { source }
    }

    static let cases = [
        Case(
            source: "@Remote private func f() {}", message: "a private function cannot be called in another context",
            column: 9, fix: "remove 'private'", edit: "1-28=@Remote func f() {}"),
        Case(
            source: "/// Doc\n@Remote\nfileprivate func f() {}", message: "a fileprivate function", line: 3, column: 1,
            fix: "remove 'fileprivate'", edit: "2:1-3:24=@Remote\\nfunc f() {}"),
        Case(
            source: "struct S {\n    @Remote private static func f() {}\n}", message: "a private function", line: 2,
            column: 13, fix: "remove 'private'", edit: "5-39=@Remote static func f() {}"),
        Case(
            source: "struct S {\n    @Remote func f() {}\n}", message: "an instance method cannot be called", line: 2,
            column: 18, fix: "make it static", edit: "5-24=@Remote static func f() {}"),
        Case(
            source: "actor S {\n    @Remote public func f() {}\n}", message: "an instance method cannot be called",
            line: 2, column: 25, fix: "make it static",
            edit: "5-31=@Remote public static func f() {}"),
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
            column: 21, fix: "remove 'inout'", edit: "21-30=Int"),
        Case(
            source: "@Remote func f(_ x: isolated A) {}\nactor A {}",
            message: "'isolated' cannot be kept between contexts",
            column: 21,
            fix: "remove 'isolated'", edit: "21-31=A"),
        Case(
            source: "@Remote func f(_ x: Int...) {}", message: "a variadic parameter cannot be passed on", column: 16,
            fix: "take an array", edit: "16-27=_ x: [Int]"),
        Case(
            source: "struct S {\n    @Remote static func f(_ x: Self?) {}\n}", message: "'Self' would be another type",
            line: 2, column: 32, fix: "write 'S'", edit: "32-36=S"),
        Case(
            source: "@Remote func f(_ x: Int, _ context: RemoteContext) {}",
            message: "a RemoteContext is the function's first parameter", column: 26),
        Case(source: "@Remote(overload: 1) func f() {}", message: "overload: takes a number from 2 to 9", column: 19),
    ]

    @Test(arguments: cases)
    func `What cannot be remote is said with what to do, and mended where it can be`(_ example: Case) async throws {
        // The compiler itself compares, and finds what is said beyond this, too.
        var lines = example.source.split(separator: "\n").map(String.init)
        lines[example.line - 1] += " // expected-error@:\(example.column) {{\(example.message)}}"
        if let fix = example.fix, let edit = example.edit {
            lines[example.line - 1] += " expected-note {{\(fix)}} {{\(edit.replacing("}", with: "\\}"))}}"
        }
        let result = try await MacroCompiler.check(lines.joined(separator: "\n"), "-verify")
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    @Test func `All that is wrong is said at once`() async throws {
        let result = try await MacroCompiler.check(
            "struct S {\n    @Remote private func f<T>(_ x: inout T, _ y: (Int, Int)) {}\n}")
        #expect(result.exitCode == 1)
        #expect(result.errors.split(separator: "\n").count { $0.contains(": error: ") } == 5, "\(result.errors)")
    }
}
