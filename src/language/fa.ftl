# What the API says, in Persian.

code_sent = کد برای شما فرستاده شد.

invalid_fields = برخی فیلدها خالی یا نادرست هستند.
    .title = فیلدهای نادرست
malformed_body = بدنهٔ درخواست یک شیء JSON نیست یا فیلدی در آن تکرار شده است.
    .title = بدنهٔ نادرست
unsupported_media_type = بدنه را به صورت application/json با UTF-8 و بدون فشرده‌سازی بفرستید.
    .title = نوع محتوای پشتیبانی‌نشده
body_too_large = بدنهٔ درخواست بزرگ‌تر از ۱۶ کیلوبایت است.
    .title = بدنهٔ بیش از حد بزرگ
body_too_slow = بدنهٔ درخواست به‌موقع نرسید.
    .title = بدنهٔ بیش از حد کند
not_found = چیزی اینجا نیست.
    .title = پیدا نشد
method_not_allowed = این نشانی به این متد پاسخ نمی‌دهد.
    .title = متد نامجاز
not_authenticated = نخست وارد شوید: توکن دسترسی فرستاده نشده است.
    .title = وارد نشده
invalid_access_token = توکن دسترسی معتبر نیست یا منقضی شده است.
    .title = توکن دسترسی نامعتبر
invalid_request = تنها یک توکن دسترسی و تنها در یک جا بفرستید.
    .title = اعتبارنامهٔ مبهم
cross_site_request = درخواست همراه با کوکی باید از همین سایت بیاید.
    .title = درخواست از سایت دیگر
invalid_code = کد درست نیست یا منقضی شده است.
    .title = کد نامعتبر
too_many_tries = کدهای نادرست بیش از حد بوده است. بعداً دوباره تلاش کنید.
    .title = تلاش بیش از حد
too_many_requests = درخواست‌ها بیش از حد بوده است. بعداً دوباره تلاش کنید.
    .title = درخواست بیش از حد
code_too_soon = لحظه‌ای پیش کدی فرستاده شد. پیش از درخواست کد دیگر کمی صبر کنید.
    .title = خیلی زود
code_quota_spent = فعلاً کد دیگری به آنجا فرستاده نمی‌شود. بعداً دوباره تلاش کنید.
    .title = سهمیهٔ کد تمام شده
no_pending_code = کدی برای فرستادن دوباره نیست. کد تازه‌ای درخواست کنید.
    .title = کدی در انتظار نیست
device_limit_reached = شما روی بیشترین شمار مجاز دستگاه‌ها وارد شده‌اید. از یکی از آنها خارج شوید و سپس کد را دوباره وارد کنید.
    .title = دستگاه‌های بیش از حد
identifier_taken = این شماره یا نشانی از پیش متعلق به یک حساب است.
    .title = قبلاً گرفته شده
forbidden = حساب شما اجازهٔ این کار را ندارد.
    .title = اجازه نیست
second_factor_required = نخست کد برنامهٔ احراز هویت خود را وارد کنید.
    .title = عامل دوم لازم است
no_second_factor = حساب شما برنامهٔ احراز هویت ندارد. نخست یکی ثبت کنید.
    .title = عامل دوم نیست
own_account = این کار را باید مدیر دیگری با حساب شما بکند.
    .title = حساب خودتان
rebuild_running = یک مدل خواندنی هم‌اکنون از نو ساخته می‌شود. پیشرفت آن را GET /admin/projections/ می‌گوید.
    .title = بازسازی در جریان است
rebuild_needs_owner = نقش سرور در پایگاه داده مالک جدول‌ها نیست. این کار را روی خود سرور و با نقش مالک انجام دهید: counterfoil projections rebuild.
    .title = مالک جدول‌ها نیست
invalid_token = توکن معتبر نیست یا منقضی شده است.
    .title = توکن نامعتبر
invalid_client = سرویس خود را با HTTP Basic معرفی کنید.
    .title = سرویس نامعتبر
malformed_form = فرم باید دقیقاً یک توکن داشته باشد.
    .title = فرم نادرست
unavailable = سرویس اکنون نمی‌تواند پاسخ دهد. لحظه‌ای دیگر دوباره تلاش کنید.
    .title = در دسترس نیست
internal_error = در سمت ما خطایی رخ داد.
    .title = خطای داخلی

field_required = این فیلد لازم است.
field_unknown = چنین فیلدی وجود ندارد.
field_not_text = این باید متن باشد.
field_not_boolean = این باید true یا false باشد.
field_one_identifier = یا شمارهٔ تلفن بفرستید یا نشانی ایمیل.
field_repeated = این را فقط یک بار بفرستید.
field_not_list = این باید فهرستی از متن‌ها باشد.
role_unknown = چنین نقشی نیست. نقش‌ها admin و auditor هستند.
id_malformed = این شناسه نیست.
time_malformed = زمان را به شکل 2026-01-31T12:00:00Z بدهید.
time_past = این زمان گذشته است.
span_unknown = چنین بازه‌ای نیست. بازه‌ها hour و day هستند.
span_too_long = این بازه بیش از حد بلند است: حداکثر ۳۱ روز به تفکیک ساعت و ۴۰۰ روز به تفکیک روز.
since_not_before = این باید پیش از `until` باشد.
address_malformed = یک نشانی IP یا شبکه‌ای مانند 192.0.2.0/24 بدهید.
state_unknown = چنین وضعیتی نیست. وضعیت‌ها active و suspended هستند.
position_malformed = این باید یک جایگاه باشد: عددی از ۰.
format_unknown = چنین قالبی نیست. قالب‌ها json و ndjson و csv هستند.
type_unknown = رویدادی به این نام نیست. میان چند نام ویرگول (,) بگذارید.
field_one_time = یا زمان را بدهید یا گام را.
limit_out_of_range = این باید عددی از ۱ تا ۲۰۰ باشد.
cursor_invalid = این دنبالهٔ صفحه‌ای از این فهرست نیست.
reason_too_long = این می‌تواند حداکثر ۳۰۰ نویسه داشته باشد.
phone_malformed = این شمارهٔ تلفن نیست.
phone_no_country_code = شماره را با کد کشور بنویسید.
phone_not_mobile = این شماره نمی‌تواند پیام دریافت کند.
email_malformed = این نشانی ایمیل نیست.
code_malformed = کد شش رقم است.
second_factor_code_malformed = شش رقمی را که برنامهٔ احراز هویت نشان می‌دهد یا یک کد بازیابی وارد کنید.
text_empty = این نمی‌تواند خالی باشد.
text_too_long = این می‌تواند حداکثر ۱۰۰ نویسه باشد.
text_unprintable = این نویسه‌ای دارد که قابل نمایش نیست.
phone_not_taken = شماره‌های آن کشور اینجا پذیرفته نمی‌شوند.
email_not_taken = نشانی‌های ایمیل اینجا پذیرفته نمی‌شوند.

# پیام‌ها. یک پیامک فارسی ۷۰ نویسه جا دارد.

page_disown_ask = این دستگاه در حساب شما وارد شده است. اگر شما نبودید، همین‌جا به آن پایان دهید؛ اگر خودتان بودید، این صفحه را ببندید.
    .title = شما بودید؟
page_disown_done = این دستگاه از حساب خارج شد.
    .title = خارج شد
page_disown_unknown = پیوند کامل نیست. آن را به‌طور کامل از پیامی که گرفته‌اید بردارید.
    .title = پیوند ناشناخته
page_disown_button = خروج این دستگاه
page_device = دستگاه
page_address = نشانی
page_signed_in_at = زمان ورود

message_sign_in = کد ورود به { $app }: { $code }
    اعتبار: { $minutes } دقیقه. آن را به کسی ندهید.
    .subject = { $app }: کد ورود شما
message_add_identifier = کد افزودن به حساب { $app }: { $code }
    اعتبار: { $minutes } دقیقه. به کسی ندهید.
    .subject = { $app }: کد تأیید این نشانی
message_new_device = { $app }: ورود تازه به حساب شما با { $device ->
        [unknown] یک دستگاه
       *[other] { $device }
    }، { $place }، { $time }. اگر شما نبودید، آن دستگاه را خارج کنید{ $link ->
        [unknown] .
       *[other] : { $link }
    }
    .subject = { $app }: ورود تازه به حساب شما
message_identifier_added = { $app }: شماره یا ایمیل دیگری به حساب شما افزوده شد، { $time }. اگر کار شما نبود، از همهٔ دستگاه‌ها خارج شوید و آن را حذف کنید.
    .subject = { $app }: شماره یا ایمیل تازه در حساب شما
message_identifier_replaced = { $app }: از این پس به جای این نشانی با شماره یا ایمیل دیگری وارد می‌شوید، { $time }. اگر کار شما نبود، با ما تماس بگیرید.
    .subject = { $app }: شماره یا ایمیل ورود شما تغییر کرد
message_second_factor_enrolled = { $app }: برنامهٔ احراز هویت برای حساب شما ثبت شد، { $time }. اگر کار شما نبود، بی‌درنگ با ما تماس بگیرید.
    .subject = { $app }: ثبت برنامهٔ احراز هویت
message_second_factor_removed = { $app }: برنامهٔ احراز هویت حساب شما حذف شد، { $time }. اگر شما نخواسته بودید، بی‌درنگ با ما تماس بگیرید.
    .subject = { $app }: حذف برنامهٔ احراز هویت
message_recovery_code_used = { $app }: به جای برنامهٔ احراز هویت شما یک کد بازیابی به کار رفت، { $time }. اگر کار شما نبود، بی‌درنگ با ما تماس بگیرید.
    .subject = { $app }: یک کد بازیابی به کار رفت
message_account_locked = { $app }: برای حساب شما کد نادرست زیادی وارد شد. از دستگاه خودتان وارد شوید یا با ما تماس بگیرید. کد را به کسی ندهید.
    .subject = { $app }: کدهای نادرست زیاد
