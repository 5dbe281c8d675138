<?php
/**
 * The application: started once, it answers one request after the other.
 *
 *   /          greets        /form    shows a posted form and its files
 *   /numbers   a stream      /error   fails, and the worker goes on
 *
 * With Composer (`composer require spiral/roadrunner-http nyholm/psr7`) the loop looks like this, and
 * roadrunner.php is not needed:
 *
 *   require __DIR__ . '/vendor/autoload.php';
 *   $factory = new Nyholm\Psr7\Factory\Psr17Factory();
 *   $worker = new Spiral\RoadRunner\Http\PSR7Worker(
 *       Spiral\RoadRunner\Worker::create(), $factory, $factory, $factory);
 *   while ($request = $worker->waitRequest()) {
 *       try {
 *           $worker->respond(new Nyholm\Psr7\Response(200, [], 'Hello'));
 *       } catch (Throwable $error) {
 *           $worker->getWorker()->error((string) $error);
 *       }
 *   }
 */

declare(strict_types=1);

require __DIR__ . '/roadrunner.php';

const TEXT = ['Content-Type' => ['text/plain; charset=utf-8']];
const JSON_TYPE = ['Content-Type' => ['application/json']];

$greeted = 0;

function answer(array $request, int &$greeted): void
{
    parse_str($request['rawQuery'], $query);
    switch (parse_url($request['uri'], PHP_URL_PATH)) {
        case '/':
            $greeted++;
            $name = $query['name'] ?? 'world';
            echo "greets $name\n"; // to the log
            rpc('metrics.Add', ['name' => 'greetings', 'value' => 1, 'labels' => []]);
            respond(200, "Hello, $name! Greeting $greeted of worker " . getmypid() . ".\n", TEXT);
            break;
        case '/form':
            $form = $request['parsed'] ? json_decode($request['body']) : null;
            respond(200, json_encode(['form' => $form, 'files' => $request['uploads']]), JSON_TYPE);
            break;
        case '/numbers':
            respondStream(200, (function () {
                for ($i = 1; $i <= 5; $i++) {
                    yield "$i\n";
                    usleep(100_000);
                }
            })(), TEXT);
            break;
        case '/error':
            throw new LogicException('this went wrong');
        default:
            respond(404, "There is no such page.\n", TEXT);
    }
}

while ($request = waitRequest()) {
    try {
        answer($request, $greeted);
    } catch (Throwable $error) {
        respondError((string) $error);
    }
}
